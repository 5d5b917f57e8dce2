/** Files from a file dialog, from a folder that was dropped, and from within ZIP files. */
import { zipEntries } from './zip';

/** A file that can be read when its turn comes. */
export interface Source {
  /** With its folders. */
  name: string;
  size: number;
  open(): Promise<Blob>;
}

/** What was dropped, folders walked through; must be called while the event is handled. */
export function dropped(transfer: DataTransfer): AsyncGenerator<Source> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  // What comes from another program, not from a folder, has no entry.
  return entries.length ? walked(entries) : chosen([...transfer.files]);
}

async function* walked(entries: FileSystemEntry[]): AsyncGenerator<Source> {
  for (const entry of entries) {
    if (entry.isDirectory) yield* walked(await listed(entry as FileSystemDirectoryEntry));
    else yield* unpacked(await fileOf(entry as FileSystemFileEntry), entry.fullPath.replace(/^\//, ''));
  }
}

/** What was chosen in a dialog. */
export async function* chosen(files: Iterable<File>): AsyncGenerator<Source> {
  for (const file of files) yield* unpacked(file, file.webkitRelativePath || file.name);
}

async function listed(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  // A reader gives some at a time, and nothing when there is no more (File and Directory Entries API 7.3).
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function* unpacked(file: File, name: string): AsyncGenerator<Source> {
  if (/\.zip$/i.test(name)) yield* zipEntries(file, name);
  else yield { name, size: file.size, open: async () => file };
}
