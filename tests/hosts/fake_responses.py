"""A stand-in for the model behind Codex: the Responses API, offline.

Plays the turns of `fake_model.FakeModel`: each is a function of the last
tool's result and returns a tool's name and input, or None to end.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeResponses:
    def __init__(self, turns):
        self.turns = list(turns)
        self.requests = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def results(self):
        """What the client passed on of each tool's result, in order, decoded."""
        return [decoded(item["output"]) for item in outputs(self.requests[-1])]

    def offered(self):
        """Names of the functions that the model may call."""
        return [name for name, _ in functions(self.requests[0])]

    def next_item(self, body):
        with self.lock:
            self.requests.append(body)
            number = len(self.requests)
            if not self.turns:
                return said("ok", number)
            turn = self.turns.pop(0)
            earlier = outputs(body)
            call = turn(decoded(earlier[-1]["output"]) if earlier else None)
        if call is None:
            return said("done", number)
        name, arguments = call
        full, namespace = next(
            ((full, namespace) for full, namespace in functions(body) if full.endswith(name)), (name, None)
        )
        item = {
            "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}",
            "name": full, "arguments": json.dumps(arguments), "status": "completed",
        }
        return {**item, "namespace": namespace} if namespace else item

    def handler(model):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self.reply(b'{"data": [], "models": []}', "application/json")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                self.reply(streamed(model.next_item(body)), "text/event-stream")

            def reply(self, body, kind):
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def functions(body):
    """Name and namespace of every function in a request."""
    for tool in body.get("tools", []):
        if tool.get("type") == "namespace":
            for inner in tool.get("tools", []):
                yield inner.get("name", ""), tool.get("name")
        else:
            yield tool.get("name", ""), None


def said(text, number):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [part]}


def streamed(item):
    usage = {
        "input_tokens": 1, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2,
    }
    response = {"id": "resp", "object": "response", "status": "completed", "output": [item], "usage": usage}
    events = [
        ("response.created", {"response": {**response, "status": "in_progress", "output": [], "usage": None}}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": response}),
    ]
    return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n" for kind, data in events).encode()


def outputs(body):
    items = body.get("input", [])
    return [item for item in items if isinstance(item, dict) and item.get("type") == "function_call_output"]


def decoded(output):
    """A tool's record out of what the client made of it."""
    if isinstance(output, list):
        output = "".join(part.get("text", "") for part in output)
    # Codex tells how long a call took before its result.
    start = output.find("{")
    try:
        return json.loads(output[start:])
    except ValueError:
        return output
