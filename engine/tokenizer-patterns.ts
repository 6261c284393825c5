/** Which regular expressions of a tokenizer file are run: a file from a stranger may hold one that takes years. */

/**
 * True for a repeated group that repeats something itself or offers a choice, as in `(a+)+` or `(a|a)*`: such patterns can try
 * every way of cutting a text, exponentially many. No tokenizer that we know has one; a group before `?` is not repeated.
 * A pattern that is no regular expression gives some answer: whoever compiles it refuses it.
 */
export function repeatsARepeat(pattern: string): boolean {
  const groups: boolean[] = [false];
  for (let at = 0; at < pattern.length; at++) {
    switch (pattern[at]) {
      case '\\':
        at++;
        break;
      case '[':
        at = endOfClass(pattern, at);
        break;
      case '(':
        groups.push(false);
        break;
      case ')': {
        const branches = groups.length > 1 ? groups.pop()! : false;
        if (branches && isRepeat(pattern, at + 1)) return true;
        // What is inside a group is inside those around it.
        if (branches) groups[groups.length - 1] = true;
        break;
      }
      case '|':
        groups[groups.length - 1] = true;
        break;
      default:
        if (isRepeat(pattern, at)) groups[groups.length - 1] = true;
    }
  }
  return false;
}

function endOfClass(pattern: string, start: number): number {
  for (let at = start + 1; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++;
    else if (pattern[at] === ']' && at > start + 1) return at;
  }
  return pattern.length;
}

/** `*`, `+`, or a count that allows more than one. */
function isRepeat(pattern: string, at: number): boolean {
  if (pattern[at] === '*' || pattern[at] === '+') return true;
  const counts = /^\{(\d+)(,?)(\d*)\}/.exec(pattern.slice(at, at + 24));
  if (counts === null) return false;
  const [, least, comma, most] = counts;
  return comma === '' ? Number(least) > 1 : most === '' || Number(most) > 1;
}
