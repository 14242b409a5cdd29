/** Server-sent events, read from a response as they arrive. */

export interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** The events of a response's body. `alive` is told of everything that arrives, comments too. */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
  alive: () => void,
): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let fields: Record<string, string> = {};
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        const { id = "", event = "", data } = fields;
        // Without data it is none: a comment, or an id alone.
        if (data !== undefined) yield { id, event, data };
        fields = {};
        continue;
      }
      const [, name = "", text = ""] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line) ?? [];
      fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${text}` : text;
    }
  }
}
