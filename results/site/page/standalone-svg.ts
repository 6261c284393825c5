/** The picture as a file of its own: what the page's style gave its elements is written into them. */
const properties = [
  'fill',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'opacity',
  'font-size',
  'font-family',
] as const;

export const standaloneSvg = (svg: SVGSVGElement): string => {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [ours, theirs] = [svg, copy].map((root) => [root, ...root.querySelectorAll('*')]) as [Element[], Element[]];
  for (const [i, element] of ours.entries()) {
    const style = getComputedStyle(element);
    const target = theirs[i]!;
    for (const name of properties) target.setAttribute(name, style.getPropertyValue(name));
    for (const name of ['class', 'tabindex', 'role', 'data-setting']) target.removeAttribute(name);
  }
  const ground = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  ground.setAttribute('width', '100%');
  ground.setAttribute('height', '100%');
  ground.setAttribute('fill', getComputedStyle(document.body).backgroundColor);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
};
