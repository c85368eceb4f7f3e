// Lists what is wrong with what can be seen of this page.
(() => {
  const found = new Set(), width = document.documentElement.clientWidth;
  const short = (s) => JSON.stringify(s.trim().replace(/\s+/g, " ").slice(0, 40));
  const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility === "visible";

  // Nothing is wider than the screen, but what scrolls by itself. Paper does not scroll.
  if (document.documentElement.scrollWidth > width) found.add(`it is ${document.documentElement.scrollWidth} wide, wider than the screen (${width})`);
  const paper = matchMedia("print").matches;
  for (const e of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(e);
    if (e.namespaceURI.endsWith("svg") || !shown(e) || e.clientWidth < 2) continue;
    if (e.scrollWidth <= e.clientWidth + 1 || style.display === "inline") continue;
    if (style.overflowX === "hidden" || paper && style.overflowX !== "visible") found.add(`${e.tagName} ${short(e.textContent)} is cut off`);
    if (paper && e.getBoundingClientRect().left + e.scrollWidth > width + 1) found.add(`${e.tagName} ${short(e.textContent)} is wider than the paper`);
  }

  // Every text can be read on what is behind it.
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1 });
  const part = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = (c) => 0.2126 * part(c.r) + 0.7152 * part(c.g) + 0.0722 * part(c.b);
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const drawn = (e) => e.namespaceURI.endsWith("svg");
  const paint = (e) => {
    const style = getComputedStyle(e);
    if (drawn(e)) return ["rect", "path", "circle"].includes(e.tagName) && style.fill.startsWith("rgb") ? parse(style.fill) : null;
    return parse(style.backgroundColor);
  };
  const behind = (x, y, text) => {
    const layers = [];
    let below = false;
    for (const e of document.elementsFromPoint(x, y)) {
      if (e === text || text.contains(e) || e.contains(text)) below = true;
      if (!below) continue;
      const c = paint(e);
      if (c && c.a > 0) layers.push(c);
    }
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = texts.nextNode()); ) {
    const e = node.parentElement;
    if (!node.data.trim() || ["STYLE", "SCRIPT"].includes(e.tagName) || !shown(e)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    if (!paper && size < 10) found.add(`${short(node.data)} is ${style.fontSize} high`);
    for (const box of range.getClientRects()) {
      if (box.width < 2 || box.height < 2) continue;
      const x = box.left + box.width / 2, y = box.top + box.height / 2;
      if (x < 0 || x >= width || y < 0 || y >= innerHeight) continue; // in what scrolls
      const at = behind(x, y, e), color = over(parse(drawn(e) ? style.fill : style.color), at);
      const ratio = contrast(color, at);
      if (ratio < 4.5) found.add(`${short(node.data)} has contrast ${ratio.toFixed(2)}, less than 4.5`);
    }
  }
  return [...found];
})()
