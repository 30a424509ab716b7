/** The page of an image. */
export const imagePath = (name: string): string => `/images/${encodeURIComponent(name)}`;

/** The page of a version. */
export const versionPath = (name: string, number: number): string => `${imagePath(name)}/${number}`;
