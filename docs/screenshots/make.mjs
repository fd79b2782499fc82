// Runs the shop and takes the pictures of `follow-an-order.md` in a Jaeger UI:
//
//   npm install --no-save playwright-core
//   node docs/screenshots/make.mjs http://localhost:16686 http://localhost:4318
//
// First where Jaeger shows traces, then where it takes them. `$CHROMIUM` is the browser, `chromium` if
// nothing else is said.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const [ui, otlp] = process.argv.slice(2).map((url) => url.replace(/\/$/, ''));
if (!ui || !otlp) {
  console.error('usage: node docs/screenshots/make.mjs UI_URL OTLP_URL');
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const WIDTH = 1400;

function sell() {
  const shop = ['run', '--quiet', '-p', 'examples', '--bin', 'shop', '--'];
  const asked = ['--nats', 'auto', '--orders', '80', '--rate', '100', '--redrive', '100'];
  const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: otlp };
  // A Jaeger takes nothing else.
  Object.assign(env, { OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none', RUST_LOG: 'off' });
  const { status } = spawnSync('cargo', [...shop, ...asked], { env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`the shop ended with ${status}`);
}

// The newest trace of `orders` for which `wanted` holds; what was just sent may take a while to be found.
async function trace(search, wanted = () => true) {
  const query = new URLSearchParams({ service: 'orders', lookback: '1h', limit: '100', ...search });
  for (let tries = 0; tries < 60; tries += 1) {
    const answer = await fetch(`${ui}/api/traces?${query}`);
    const begin = (found) => Math.min(...found.spans.map((span) => span.startTime));
    const found = ((await answer.json()).data ?? []).filter(wanted);
    if (found.length > 0) return found.sort((a, b) => begin(b) - begin(a))[0];
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw new Error(`no trace for ${query}`);
}

const order = (number) => trace({ tags: JSON.stringify({ order: String(number) }) });
const linksTo = (other) => (found) =>
  found.spans.some((span) => span.references.some((link) => link.traceID === other.traceID));

// A trace as it is shown, with the last span of this service and name opened.
async function picture(page, file, { traceID, spans }, service, name, opened) {
  // All of its rows, and what is opened.
  await page.setViewportSize({ width: WIDTH, height: 252 + 28 * spans.length + opened });
  await page.goto(`${ui}/trace/${traceID}`);
  const row = page.locator('.span-row').filter({ hasText: new RegExp(`${service}\\s*${name}`) });
  await row.last().locator('.span-view').click({ position: { x: 5, y: 10 } });
  const links = page.getByText('References').first();
  if (await links.isVisible()) await links.click();
  await save(page, file);
}

async function save(page, file) {
  await page.mouse.move(0, 0);
  // What moves has come to rest.
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join(here, file) });
}

sell();
const [retried, dead] = [await order(15), await order(60)];
const redrive = await trace({ operation: 'redrive BUS_DLQ' }, linksTo(dead));

const executablePath = execFileSync('which', [process.env.CHROMIUM ?? 'chromium']).toString().trim();
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
args.push('--disable-background-networking', '--disable-component-update', '--disable-sync');
const profile = mkdtempSync(join(tmpdir(), 'screenshots-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath, args, headless: true,
});
try {
  const page = await browser.newPage();
  // How much of the width names have.
  await page.addInitScript(() => localStorage.setItem('spanNameColumnWidth', '0.33'));
  await picture(page, 'retry.png', retried, 'billing', 'process orders..region..placed', 240);
  await picture(page, 'dead-letter.png', dead, 'mailer', 'dead_letter BUS_DLQ', 220);
  await picture(page, 'redrive.png', redrive, 'orders', 'publish payments.taken', 240);
  await page.setViewportSize({ width: WIDTH, height: 700 });
  await page.goto(`${ui}/dependencies`);
  await save(page, 'services.png');
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
