import { readdir } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { OtolithError } from "../node.js";
import { isFolder } from "./catalog-folder.js";
import { titleOf } from "./input-file.js";

/** Names of what is read in a folder; a file that is named itself may be called anything. */
const EXTENSIONS = new Set([".wav", ".flac", ".mp3", ".m4a", ".mp4", ".aac", ".ogg", ".oga", ".aif", ".aiff"]);

/** A sound file and what its track is called unless told otherwise. */
export interface SoundFile {
  readonly path: string;
  /** The file's name without extension; in a folder that was named, with the way from there. */
  readonly title: string;
}

/** The files of a list of files and folders, folders with all that is below them, in the order of their names. */
export async function soundFiles(paths: readonly string[]): Promise<SoundFile[]> {
  const files: SoundFile[] = [];
  for (const path of paths) {
    if (!(await isFolder(path))) {
      files.push({ path, title: titleOf(path) });
      continue;
    }
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const found = entries.filter((entry) => entry.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase()));
    if (found.length === 0) throw new OtolithError("invalid-input", `${path} has no sound files: name a folder that has, or a file`);
    const below = found.map((entry) => join(entry.parentPath, entry.name)).sort();
    for (const file of below) {
      const way = relative(path, file).split(sep).join("/");
      files.push({ path: file, title: way.slice(0, way.length - extname(way).length) });
    }
  }
  return files;
}
