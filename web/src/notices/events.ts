/** One server-sent event. */
export interface ServerEvent {
  name: string;
  /** The id that stands since the last event that had one. */
  id: string;
  data: string;
}

/** The longest event that is taken, in characters. */
const maxEvent = 4 << 20;

/**
 * Reads server-sent events out of text that comes in pieces. Throws when one
 * has no end.
 */
export class EventReader {
  private rest = '';
  private name = '';
  private id = '';
  private data: string[] = [];

  /** Takes the next piece and returns the events that it completes. */
  take(piece: string): ServerEvent[] {
    const lines = (this.rest + piece).split(/\r\n|\n/);
    this.rest = lines.pop() ?? '';
    if (this.rest.length > maxEvent) throw new Error('an event has no end');
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        if (this.data.length > 0)
          events.push({ name: this.name || 'message', id: this.id, data: this.data.join('\n') });
        this.name = '';
        this.data = [];
        continue;
      }
      const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'event') this.name = value;
      if (field === 'id') this.id = value;
      if (field === 'data') this.data.push(value);
    }
    return events;
  }
}
