/** A member of an archive. A directory's path ends with "/". */
export interface TarEntry {
  readonly path: string;
  readonly mode: number;
  readonly data?: Buffer;
  /** Makes it a symbolic link to this target. */
  readonly link?: string;
}

/** A ustar archive, the same bytes for the same entries on each machine: root's files, dated 1970. */
export function packTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => [header(entry), padded(entry.data ?? Buffer.alloc(0))]);
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function header({ path, mode, data, link }: TarEntry): Buffer {
  if (Buffer.byteLength(path) > 100) throw new RangeError(`Cannot archive "${path}": longer than 100 bytes`);
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number) => block.write(value.toString(8).padStart(width - 1, "0"), at, "ascii");
  block.write(path, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(data?.length ?? 0, 124, 12);
  octal(0, 136, 12);
  block.write(link === undefined ? (path.endsWith("/") ? "5" : "0") : "2", 156);
  if (link !== undefined) block.write(link, 157);
  block.write("ustar\u000000", 257, "ascii");
  // The sum counts its own field as blanks.
  block.fill(" ", 148, 156);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  block[154] = 0;
  return block;
}

const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
