/** Folders as compressed archives, cut into parts that each fit where files may not be large. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Part {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

const partName = (archive: string, index: number): string => `${archive}.${String(index).padStart(3, '0')}`;

/** Python reads xz where no such program is installed. */
const unpack = `#!/bin/sh
# Checks the parts beside this file and unpacks them into FOLDER (default: here): sh unpack.sh [FOLDER]
set -e
from=$(cd "$(dirname "$0")" && pwd)
to=\${1:-$from}
if ! bad=$(cd "$from" && sha256sum --quiet -c ./*.sha256 2>/dev/null); then
  echo "unpack.sh: damaged or missing:$(echo "$bad" | sed 's/: FAILED.*//;s/^/ /' | tr -d '\\n'). Copy these parts again." >&2
  exit 1
fi
mkdir -p "$to"
for first in "$from"/*.tar.xz.000; do
  if command -v xz >/dev/null 2>&1; then
    cat "\${first%000}"[0-9]* | xz -dc -T0 | tar -xf - -C "$to"
  else
    cat "\${first%000}"[0-9]* | python3 -c 'import sys, tarfile
tarfile.open(fileobj=sys.stdin.buffer, mode="r|xz").extractall(sys.argv[1])' "$to"
  fi
done
`;

/** Writes `name`.tar.xz.000 and on, in place of older ones. The same files give the same bytes. Needs tar and xz. */
export const packParts = (folder: string, out: string, name: string, partBytes: number): Part[] => {
  mkdirSync(out, { recursive: true });
  const file = `${name}.tar.xz`;
  for (const old of readdirSync(out)) if (old.startsWith(`${file}.`)) rmSync(join(out, old));
  const archive = join(out, file);
  const tar = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-cf', '-', '.'];
  execFileSync('sh', ['-c', `tar ${tar.join(' ')} | xz -6 -T0 >"$0"`, archive], { cwd: folder });
  const parts = cut(archive, file, out, partBytes);
  rmSync(archive);
  writeFileSync(join(out, `${name}.sha256`), parts.map(({ name: part, sha256 }) => `${sha256}  ${part}\n`).join(''));
  writeFileSync(join(out, 'unpack.sh'), unpack, { mode: 0o755 });
  return parts;
};

const cut = (archive: string, file: string, out: string, partBytes: number): Part[] => {
  const parts: Part[] = [];
  const source = openSync(archive, 'r');
  const buffer = Buffer.allocUnsafe(partBytes);
  try {
    for (;;) {
      const bytes = readSync(source, buffer, 0, partBytes, null);
      if (bytes === 0) return parts;
      const part = buffer.subarray(0, bytes);
      const name = partName(file, parts.length);
      writeFileSync(join(out, name), part);
      parts.push({ name, bytes, sha256: createHash('sha256').update(part).digest('hex') });
    }
  } finally {
    closeSync(source);
  }
};
