// Opens report pages as a person would: at desktop and phone width, light and
// dark. Fails on console errors, requests, overflow, empty pictures, unreadable
// figure data and axe-core violations. Leaves screenshots.
//
//   node look.mjs OUT_DIR NAME=PAGE.html ...

import { mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [out, ...pages] = process.argv.slice(2);
const widths = [1440, 390];
const schemes = ["light", "dark"];

const problems = [];
mkdirSync(out, { recursive: true });
const profile = mkdtempSync(join(tmpdir(), "chromium-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  bypassCSP: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
for (const page of pages) {
  const [name, path] = page.split("=");
  for (const colorScheme of schemes) for (const width of widths) {
    await look(name, resolve(path), width, colorScheme);
  }
}
await context.close();
rmSync(profile, { recursive: true, force: true });
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(`${pages.length} pages at ${widths.join(" and ")} px, light and dark: no problem; screenshots in ${out}`);

async function look(name, path, width, colorScheme) {
  const title = `${name} at ${width} px, ${colorScheme}`;
  const say = (problem) => problems.push(`${title}: ${problem}`);
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) say(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => say(`script: ${error}`));
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) say(`request to ${request.url()}`);
  });
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme });
  await page.goto(url);
  await page.screenshot({ path: join(out, `${name}-${width}-${colorScheme}.png`), fullPage: true });
  for (const opened of [false, true]) {
    if (opened) await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    for (const problem of await page.evaluate(overflow)) say(problem);
  }
  for (const problem of await page.evaluate(figures)) say(problem);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  for (const { id, help, nodes } of violations) {
    say(`axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
  }
  await page.close();
}

// Runs in the page: what sticks out of it, or text that leaves its picture.
function overflow() {
  const found = [];
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) {
    found.push(`the page is ${document.documentElement.scrollWidth} px wide in ${wide}`);
  }
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    if (frame.width === 0) continue;
    for (const text of svg.querySelectorAll("text")) {
      if (text.textContent.trim() === "") continue;
      const box = text.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        found.push(`"${text.textContent.trim()}" leaves its picture (${svg.getAttribute("aria-label")?.slice(0, 60)})`);
      }
    }
  }
  return found;
}

// Runs in the page: every figure has a picture, a table and data, or says what is missing.
function figures() {
  const found = [];
  for (const section of document.querySelectorAll("main > section")) {
    const data = section.querySelector(`script#data-${section.id}`);
    try {
      JSON.parse(data.textContent);
    } catch (error) {
      found.push(`figure ${section.id}: its JSON cannot be read: ${error}`);
    }
    if (section.querySelector(".missing")) continue;
    const shown = [...section.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().width > 0);
    for (const svg of shown) {
      if (svg.querySelectorAll("path,polyline,rect,circle,polygon,line").length < 3) found.push(`figure ${section.id}: an empty picture`);
      if (svg.getAttribute("aria-label")?.length < 10) found.push(`figure ${section.id}: a picture without a description`);
    }
    if (shown.length > 0 && !section.querySelector("details table")) found.push(`figure ${section.id}: a picture without its table`);
  }
  if (document.querySelectorAll("main > section").length < 5) found.push("fewer than five figures");
  return found;
}
