// What a reader cannot read on this page: text that is cut off, lies on other text, or is too faint, or a picture too small.
() => {
  const problems = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth + 1) problems.push(`the page is ${wide}px wide in ${innerWidth}px`);
  const words = (element) => element.textContent.trim().replace(/\s+/g, " ").slice(0, 50);
  const shown = (element) => {
    if (element.closest("script, style, template, noscript, option, details:not([open]) > :not(summary)"))
      return false;
    return element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const scrolls = (element) => {
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
    }
    return false;
  };

  const number = (text) => text.match(/[\d.]+/g).map(Number);
  const over = (front, back) => {
    const alpha = front[3] ?? 1;
    return [0, 1, 2].map((i) => front[i] * alpha + back[i] * (1 - alpha));
  };
  const canvas = getComputedStyle(document.body).backgroundColor;
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(getComputedStyle(e).backgroundColor);
    let color = [255, 255, 255];
    for (const layer of layers.reverse()) {
      if (layer.startsWith("rgb")) color = over(number(layer), color);
    }
    return color;
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => {
      const x = c / 255;
      return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };

  const labels = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || !element || !shown(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const style = getComputedStyle(element);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      labels.push({ element, box, text: words(element) });
      if (!scrolls(element) && (box.left < -1 || box.right > innerWidth + 1))
        problems.push(`cut at the edge: ${words(element)}`);
    }
    const svg = element.closest("svg");
    const color = over(number(svg ? style.fill.startsWith("rgb") ? style.fill : "rgb(0,0,0)" : style.color), behind(element));
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const found = contrast(color, behind(element));
    if (found < needed) problems.push(`contrast ${found.toFixed(1)} below ${needed}: ${words(element)}`);
  }
  labels.sort((a, b) => a.box.top - b.box.top);
  for (let i = 0; i < labels.length; i++) {
    for (let j = i + 1; j < labels.length && labels[j].box.top < labels[i].box.bottom; j++) {
      const a = labels[i], b = labels[j];
      if (a.element === b.element) continue;
      const width = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const height = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      // Boxes hold the line's leading, which letters do not fill.
      const least = 0.35 * Math.min(a.box.height, b.box.height);
      if (width > 2 && height > least) problems.push(`“${a.text}” lies on “${b.text}”`);
    }
  }
  for (const image of document.images) {
    if (!image.complete || image.naturalWidth === 0) problems.push(`no picture: ${image.alt.slice(0, 50)}`);
    if (!shown(image)) continue;
    const box = image.getBoundingClientRect();
    if (box.right > innerWidth + 1) problems.push(`a picture is cut: ${image.alt.slice(0, 50)}`);
    // Letters of 7 points in a figure are 6 on the page at this scale.
    if (/^data:image\/svg|\.svg$/.test(image.currentSrc) && box.width < 0.8 * image.naturalWidth)
      problems.push(`a picture is shrunk to ${Math.round((100 * box.width) / image.naturalWidth)} %: ${image.alt.slice(0, 50)}`);
  }
  for (const code of document.querySelectorAll("pre")) {
    if (shown(code) && code.scrollWidth > code.clientWidth + 1) problems.push(`code is cut: ${words(code)}`);
  }
  return [...new Set(problems)];
}
