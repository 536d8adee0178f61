// The dashboard's page in a real Chromium: what people see, click and press; live updates; a phone;
// the dark. Ends with status 1 at the first thing that is not as it should be.
//
// usage: dashboard_page.mjs PLAYWRIGHT URL PID FOLDER
//   PLAYWRIGHT  folder of the package playwright-core
//   URL         of a dashboard over one run, with at least two workers at work
//   PID         of worker 1 on this machine, which will be killed
//   FOLDER      for screenshots

import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import path from 'node:path';
import process from 'node:process';

const [playwrightFolder, url, workerId, screenshots] = process.argv.slice(2);
const {chromium} = createRequire(import.meta.url)(playwrightFolder);
const limit = 30_000;

const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox']});
const context = await browser.newContext({viewport: {width: 1280, height: 900}, colorScheme: 'light'});
const page = await context.newPage();
page.setDefaultTimeout(limit);

// Nothing is loaded from elsewhere, and nothing goes wrong in the page.
const problems = [];
page.on('request', (request) => {
  if (!request.url().startsWith(new URL(url).origin)) problems.push(`asked for ${request.url()}`);
});
page.on('console', (message) => {
  if (message.type() === 'error') problems.push(`console: ${message.text()}`);
});
page.on('pageerror', (error) => problems.push(`error: ${error.message}`));

async function step(name, body) {
  const begin = Date.now();
  try {
    await body();
  } catch (error) {
    await page.screenshot({path: path.join(screenshots, 'failed.png'), fullPage: true});
    throw new Error(`${name}: ${error.message}`);
  }
  console.log(`page: ${name} (${Date.now() - begin} ms)`);
}

const text = (selector) => page.locator(selector).innerText();

try {
  await step('opens and is live', async () => {
    await page.goto(url);
    await page.getByText('Live', {exact: true}).waitFor();
    await page.waitForFunction(() => /^\d+ % running/.test(document.title));
    assert.match(await text('#progress-text'), /of [\d,]+ units are finished/);
  });

  await step('is built for screen readers', async () => {
    for (const role of ['banner', 'main', 'contentinfo']) {
      assert.equal(await page.getByRole(role).count(), 1, role);
    }
    for (const name of ['Progress', 'Throughput', 'Units', 'Workers', 'Events', 'Shard sizes']) {
      assert.equal(await page.getByRole('heading', {name, exact: true}).count(), 1, name);
    }
    const bar = page.getByRole('progressbar');
    assert.match(await bar.getAttribute('aria-valuetext'), /units are finished/);
    assert.equal(await page.locator('#workers thead th:not([scope="col"])').count(), 0);
    assert.ok(await page.locator('#workers tbody th[scope="row"]').count() >= 2);
    assert.equal(await page.locator('#alert-list').getAttribute('aria-live'), 'assertive');
    assert.equal(await page.getByRole('log').getAttribute('aria-live'), 'polite');
    assert.match(await text('#map-text'), /committed/);
  });

  await step('goes on by itself while the run does', async () => {
    const before = await text('#progress-text');
    await page.waitForFunction(
      (old) => document.getElementById('progress-text').textContent !== old, before);
  });

  await step('chart buttons switch the chart', async () => {
    await page.getByRole('button', {name: 'Units over the run'}).click();
    assert.match(await text('#speed-text'), /since the run began/);
    assert.ok(await page.locator('#speed-chart rect.bar').count() > 0);
    await page.getByRole('group').getByRole('button', {name: 'Tokens/s'}).click();
    await page.locator('#speed-chart polyline.line').waitFor({state: 'attached'});
  });

  await step('the map answers the mouse and the keyboard', async () => {
    await page.locator('#map').hover({position: {x: 4, y: 4}});
    assert.match(await text('#map-cell'), /^Units? 0/);
    await page.locator('#map').focus();
    await page.keyboard.press('End');
    const last = await text('#map-cell');
    assert.notEqual(last, '');
    await page.keyboard.press('ArrowLeft');
    assert.notEqual(await text('#map-cell'), last);
    await page.keyboard.press('Escape');
    assert.equal(await text('#map-cell'), '');
  });

  await step('the keyboard reaches everything', async () => {
    await page.reload();
    await page.getByText('Live', {exact: true}).waitFor();
    const reached = new Set();
    for (let press = 0; press < 40; press += 1) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => {
        const focused = document.activeElement;
        return focused.dataset.chart || focused.dataset.sort || focused.id || focused.className;
      }));
    }
    for (const name of ['skip', 'bytes', 'map', 'worker-filter', 'recent_tokens_per_second', 'events']) {
      assert.ok(reached.has(name), `${name} is not reached: ${[...reached]}`);
    }
  });

  await step('the table is sorted by a click', async () => {
    const button = page.getByRole('button', {name: 'Worker', exact: true});
    await button.click();
    assert.equal(await page.locator('#workers th[aria-sort]').getAttribute('aria-sort'), 'descending');
    assert.match(await page.locator('#workers tbody tr th').first().innerText(), /^2/);
    await button.click();
    assert.match(await page.locator('#workers tbody tr th').first().innerText(), /^0/);
  });

  await page.screenshot({path: path.join(screenshots, 'light.png'), fullPage: true});

  await step('a killed worker is shown within 15 s', async () => {
    process.kill(Number(workerId), 'SIGKILL');
    const begin = Date.now();
    await page.locator('#alert-list li', {hasText: 'Worker Stuck'}).waitFor();
    await page.locator('#workers tr.silent th', {hasText: /^1/}).waitFor();
    await page.locator('#alert-list li', {hasText: 'Worker Lost'}).waitFor();
    assert.ok(Date.now() - begin < 15_000, `${Date.now() - begin} ms`);
    await page.locator('#events li', {hasText: 'worker 1'}).first().waitFor();
    await page.locator('#worker-filter').selectOption('trouble');
    assert.equal(await page.locator('#workers tbody tr').count(), 1);
  });
  await page.screenshot({path: path.join(screenshots, 'alert.png'), fullPage: true});
  await page.locator('#worker-filter').selectOption('all');

  await step('the dark is dark', async () => {
    await page.emulateMedia({colorScheme: 'dark'});
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const [red, green, blue] = paper.match(/\d+/g).map(Number);
    assert.ok(red + green + blue < 150, paper);
    await page.screenshot({path: path.join(screenshots, 'dark.png'), fullPage: true});
  });

  await step('a phone shows all of it without scrolling sideways', async () => {
    await page.emulateMedia({colorScheme: 'light'});
    await page.setViewportSize({width: 390, height: 844});
    await page.getByText('Live', {exact: true}).waitFor();
    const [content, screen] = await page.evaluate(
      () => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(content <= screen, `${content} > ${screen}`);
    await page.screenshot({path: path.join(screenshots, 'phone.png'), fullPage: true});
  });

  assert.deepEqual(problems, []);
} catch (error) {
  console.error(error.message, problems);
  process.exitCode = 1;
} finally {
  await browser.close();
}
