// Chromium of the distribution, for what only a browser can show.

import { chromium } from "playwright-core";

/** A browser to which these hosts are at these ports of loopback: `{"app.localhost": 1234}`. */
export function launch(hosts) {
  const rules = Object.entries(hosts).map(([host, port]) => `MAP ${host}:80 127.0.0.1:${port}`);
  return chromium.launch({
    executablePath: process.env.RINGBACK_CHROMIUM ?? "/usr/bin/chromium",
    // Root has no sandbox; the pages are our own. Those that are made up come from no address, and what
    // comes from none may not ask this machine.
    args: ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks", `--host-resolver-rules=${rules}`],
  });
}
