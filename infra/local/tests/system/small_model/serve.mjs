// A real small model behind the OpenAI API's chat completions: whole or streamed, free or held to a JSON Schema.
// node serve.mjs MODEL.gguf PORT; one thread, no GPU, one request at a time.
import { createServer } from "node:http";
import { getLlama, LlamaChatSession } from "node-llama-cpp";

const [modelPath, port] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, maxThreads: 1, build: "never", progressLogs: false });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 4096, threads: 1 });
const sequence = context.getSequence();
let queue = Promise.resolve();

async function complete(asked, signal, onText) {
  const turns = asked.messages;
  const system = turns.filter((turn) => turn.role === "system").map((turn) => turn.content).join("\n");
  await sequence.clearHistory();
  const session = new LlamaChatSession({ contextSequence: sequence, systemPrompt: system, autoDisposeSequence: false });
  const schema = asked.response_format?.json_schema?.schema;
  const grammar = schema && (await llama.createGrammarForJsonSchema(schema));
  const { responseText, stopReason } = await session.promptWithMeta(turns.at(-1).content, {
    grammar, signal, stopOnAbortSignal: true, maxTokens: Math.min(asked.max_completion_tokens ?? 256, 600),
    temperature: 0.7, seed: asked.seed ?? 1, onTextChunk: onText,
  });
  const usage = { prompt_tokens: sequence.nextTokenIndex, completion_tokens: model.tokenize(responseText).length };
  session.dispose();
  return { text: responseText, reason: stopReason === "maxTokens" ? "length" : "stop", usage };
}

async function answer(request, response) {
  let body = "";
  for await (const piece of request) body += piece;
  const asked = JSON.parse(body);
  const left = new AbortController();
  response.on("close", () => left.abort());
  const send = (choices, usage) =>
    response.write(`data: ${JSON.stringify({ model: asked.model, choices, usage: usage ?? null })}\n\n`);
  if (asked.stream) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const said = await complete(asked, left.signal, (content) => send([{ index: 0, delta: { content } }]));
    send([{ index: 0, delta: {}, finish_reason: said.reason }]);
    send([], said.usage);
    response.end("data: [DONE]\n\n");
  } else {
    const said = await complete(asked, left.signal);
    response.writeHead(200, { "content-type": "application/json" });
    const choices = [{ index: 0, message: { role: "assistant", content: said.text }, finish_reason: said.reason }];
    response.end(JSON.stringify({ model: asked.model, choices, usage: said.usage }));
  }
}

createServer((request, response) => {
  if (request.url.endsWith("/models")) return void response.end(JSON.stringify({ object: "list", data: [] }));
  queue = queue.then(() => answer(request, response)).catch((error) => {
    console.error(error);
    response.destroy();
  });
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
