// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Opens pages in Chromium, keeps a picture of each, and prints what is wrong with them.
//     check.mjs FILE
// FILE: {browser, pictures, pages: [{name, url, width, theme, empty: [titles of panels that may be empty], texts, wide, tab, plots}]}
// texts: what has to be seen as it is; wide: tables may have to be scrolled sideways; tab: of vmui, the tab to open; plots: the titles of its plots, all of which have lines.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { illegible } from './legible.js';

// What is far below the screen is not drawn, so the screen gets as high as the page.
const HEIGHT = 900, HIGHEST = 16000, NARROW = 769, PATIENCE = 120000, WAITING = 20000, SETTLED = 1000;
const { browser: executablePath, pictures, pages } = JSON.parse(readFileSync(process.argv[2]));
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'] });
let wrong = 0;

// vmui draws a plot once it is on the screen. Whether its own texts can be read is not ours to say.
async function faultsOfVmui(page, { width, tab, plots }) {
  await page.locator('.vm-predefined-panels-tabs__tab', { hasText: tab }).click();
  await page.setViewportSize({ width, height: HEIGHT * plots.length });
  const look = (titles) => {
    const drawn = [...document.querySelectorAll('.vm-predefined-panel')];
    return titles.flatMap((title) => {
      const plot = drawn.find((one) => one.querySelector('.vm-predefined-panel-header__title')?.textContent === title);
      if (!plot) return [`${title}: no such plot`];
      const error = plot.querySelector('.vm-alert')?.textContent;
      return error ? [`${title}: ${error}`] : plot.querySelector('.vm-legend-item') ? [] : [`${title}: no line`];
    });
  };
  for (const last = Date.now() + WAITING; Date.now() < last && (await page.evaluate(look, plots)).length;) await page.waitForTimeout(SETTLED);
  return page.evaluate(look, plots);
}

async function faults(page, wanted) {
  const { url, width, tab, empty = [], texts = [], wide = width < NARROW } = wanted;
  const found = [];
  page.on('dialog', (dialog) => { found.push(`a script ran: ${dialog.message()}`); dialog.dismiss(); });
  page.on('pageerror', (error) => found.push(`error: ${error.stack.slice(0, 500)}`));
  page.on('console', (message) => message.type() === 'error' && found.push(`error: ${message.text().slice(0, 300)} ${message.location().url}`));
  page.on('request', (request) => /^(https?:\/\/127\.0\.0\.1|data:|file:|blob:)/.test(request.url()) || found.push(`asks for ${request.url()}`));
  await page.goto(url);
  if (tab) return [...found, ...await faultsOfVmui(page, wanted)];
  if (url.startsWith('http')) {
    await page.waitForFunction(() => window.preview?.waiting === 0, null, { timeout: PATIENCE });
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.min(height, HIGHEST) });
    await page.waitForLoadState('networkidle');
    await page.waitForTimeout(SETTLED);
    const { errors, panels } = await page.evaluate(() => window.preview);
    found.push(...errors);
    for (const [title, { frames }] of Object.entries(panels)) {
      if (!frames && !empty.includes(title)) found.push(`${title}: no data`);
      if (frames && empty.includes(title)) found.push(`${title}: has data, although it is on the list of empty panels`);
    }
  }
  const seen = await page.evaluate(() => document.body.innerText);
  found.push(...texts.filter((text) => !seen.includes(text)).map((text) => `does not show ${text}`));
  return [...found, ...await page.evaluate(illegible, wide)];
}

for (const wanted of pages) {
  const begun = Date.now();
  const context = await browser.newContext({ viewport: { width: wanted.width, height: HEIGHT }, colorScheme: wanted.theme, timezoneId: 'UTC', reducedMotion: 'reduce' });
  const page = await context.newPage();
  const found = await faults(page, wanted).catch((error) => [`error: ${error.message}`]);
  await page.screenshot({ path: `${pictures}/${wanted.name}.png`, fullPage: true });
  await context.close();
  console.log(`${found.length ? 'FAILED' : 'ok    '} ${wanted.name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  for (const fault of found) console.log(`         ${fault}`);
  wrong += found.length;
}
await browser.close();
process.exitCode = wrong ? 1 : 0;
