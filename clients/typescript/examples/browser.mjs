// In a page: shows how far a callback is. Its server hands out `callback.waitUrl`.

import { FailedError, follow } from "ringback-client/follow";

/**
 * @param {string} waitUrl
 * @param {HTMLProgressElement} bar
 * @param {AbortSignal} signal
 */
export async function show(waitUrl, bar, signal) {
  /** @type {import("ringback-client/follow").Following<{ url: string }>} */
  const film = follow(waitUrl);
  film.on("progress", (event) => {
    const { percent } = /** @type {{ percent: number }} */ (event.value);
    bar.value = percent;
  });
  try {
    const { url } = await film.wait({ signal });
    location.assign(url);
  } catch (error) {
    if (!(error instanceof FailedError)) throw error;
    bar.replaceWith("It could not be made.");
  } finally {
    film.close();
  }
}
