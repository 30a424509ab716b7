import type { FieldError } from '../../../api/problem';
import type { Json } from '../../../document/json';
import type { Withholding } from '../../../form/withheld';

/** A workspace that is being edited, as all tabs of its page see it. */
export interface Draft {
  /** The document as it stands on the screen. */
  document: Json;
  /** The document as it was committed last. */
  base: Json;
  /** Changes the document as it stands then. */
  edit: (make: (document: Json) => Json) => void;
  errors: FieldError[];
  warnings: FieldError[];
  /** Told what is new, whose faults wait. */
  withholding: Withholding;
  /** Why nothing may be changed; undefined: everything may. */
  readOnly?: string | undefined;
}
