// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What nobody could read on the page it runs in. Chromium evaluates the function as text, so it uses nothing from outside.
// narrow: a small screen, on which tables may be wider than what is seen of them.
export function illegible(narrow) {
  const CONTRAST = 4.5, LARGE = 24, CONTRAST_OF_LARGE = 3, TOLERANCE = 1.5, CLIPPED = 4;
  const found = new Set();
  const short = (element) => `"${element.textContent.trim().slice(0, 40)}"`;
  const say = (element, text) => found.add(`${element.closest('[data-panel]')?.dataset.panel || 'page'}: ${text}`);

  const parsed = (colour) => {
    const [red, green, blue, alpha = 1] = (colour.match(/[\d.]+/g) || []).map(Number);
    return /^rgba?\(/.test(colour) ? { rgb: [red, green, blue], alpha } : null;
  };
  const over = (above, below) => above.rgb.map((part, place) => part * above.alpha + below[place] * (1 - above.alpha));
  // null where it cannot be told, as with gradients.
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const style = getComputedStyle(element);
    const colour = parsed(style.backgroundColor);
    if (style.backgroundImage !== 'none' || !colour) return null;
    if (colour.alpha === 1) return colour.rgb;
    const below = ground(element.parentElement);
    return below && over(colour, below);
  };
  const luminance = (rgb) => rgb.map((part) => part / 255).map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  const written = [...document.querySelectorAll('body *')].filter((element) => !element.closest('script,style,title,desc') && element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  for (const element of written) {
    const style = getComputedStyle(element);
    const colour = parsed(element instanceof SVGElement ? style.fill : style.color);
    const below = ground(element);
    const shape = element.getBoundingClientRect();
    if (!shape.width || !shape.height || style.visibility === 'hidden') continue;
    if (colour && below) {
      const ratio = contrast(over(colour, below), below);
      if (ratio < (parseFloat(style.fontSize) >= LARGE ? CONTRAST_OF_LARGE : CONTRAST)) say(element, `contrast ${ratio.toFixed(1)} of ${short(element)}`);
    }
    // Text that its box or one around it cuts off, without dots that would say so. A table scrolls, from above to below.
    if (!narrow && !(element instanceof SVGElement)) {
      const range = document.createRange();
      range.selectNodeContents(element);
      const text = range.getBoundingClientRect();
      for (let around = element; around && around !== document.body; around = around.parentElement) {
        const { overflowX } = getComputedStyle(around);
        if (overflowX === 'visible') continue;
        const clip = around.getBoundingClientRect();
        const scrolls = around.closest('[role=grid]');
        const sideways = text.left < clip.left - TOLERANCE || text.right > clip.right + TOLERANCE;
        if (sideways || (!scrolls && text.bottom > clip.bottom + CLIPPED)) say(element, `clipped text ${short(element)}`);
        if (overflowX !== 'hidden' && overflowX !== 'clip') break;
      }
    }
    const box = [element, element.parentElement].find((one) => one && getComputedStyle(one).textOverflow === 'ellipsis' && one.scrollWidth > one.clientWidth + TOLERANCE);
    if (box && !narrow) say(element, `cut text ${short(element)}`);
  }

  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map((text) => [text, text.getBoundingClientRect()]);
    texts.forEach(([text, box], place) => {
      if (box.left < frame.left - TOLERANCE || box.right > frame.right + TOLERANCE || box.top < frame.top - TOLERANCE || box.bottom > frame.bottom + TOLERANCE) {
        say(svg, `cut label ${short(text)}`);
      }
      for (const [other, its] of texts.slice(place + 1)) {
        if (box.left < its.right && its.left < box.right && box.top < its.bottom && its.top < box.bottom) say(svg, `label ${short(text)} lies over ${short(other)}`);
      }
    });
  }

  for (const grid of document.querySelectorAll('[role=grid]')) {
    const hidden = grid.scrollHeight - grid.clientHeight;
    const row = grid.querySelector('[role=row] [role=gridcell]')?.clientHeight || 0;
    if (hidden > TOLERANCE && hidden < row) say(grid, `the table hides ${Math.round(hidden)} pixels of its last row`);
    if (!row) say(grid, 'the table shows no row');
    if (!narrow && grid.scrollWidth > grid.clientWidth + TOLERANCE) say(grid, `the table is ${grid.scrollWidth - grid.clientWidth} pixels wider than its panel`);
  }

  for (const canvas of document.querySelectorAll('.u-wrap canvas')) {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width || 1, canvas.height || 1);
    if (!data.some((value, place) => place % 4 === 3 && value)) say(canvas, 'nothing is drawn');
  }

  if (document.documentElement.scrollWidth > innerWidth) found.add('page: wider than the screen');
  return [...found];
}
