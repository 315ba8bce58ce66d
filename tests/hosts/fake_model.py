"""A stand-in for the model behind Claude Code: plays a script of turns, offline.

A turn is a function of the last tool's result. It returns a tool's name and
input, or None to end the turn; what the client sends is kept in `requests`.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeModel:
    def __init__(self, turns):
        self.turns = list(turns)
        self.requests = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def results(self):
        """What the client passed on of each tool's result, in order, decoded."""
        return [decoded(content) for content in tool_results(self.requests[-1])]

    def said_to_model(self):
        """Every text that reached the model as a user's words, such as a hook's reason."""
        return [
            block.get("text", "")
            for request in self.requests for message in request["messages"] if message["role"] == "user"
            for block in blocks(message) if block.get("type") == "text"
        ]

    def next_content(self, body):
        """The next turn's content and stop reason."""
        tools = [tool.get("name", "") for tool in body.get("tools", [])]
        with self.lock:
            self.requests.append(body)
            if not tools or not self.turns:
                return {"type": "text", "text": "ok"}, "end_turn"
            turn = self.turns.pop(0)
            earlier = tool_results(body)
            call = turn(decoded(earlier[-1]) if earlier else None)
            number = len(self.requests)
        if call is None:
            return {"type": "text", "text": "done"}, "end_turn"
        name, arguments = call
        full = next((tool for tool in tools if tool.endswith("__" + name)), name)
        return {"type": "tool_use", "id": f"toolu_{number}", "name": full, "input": arguments}, "tool_use"

    def handler(model):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.send_response(200)
                self.end_headers()

            def do_GET(self):
                self.reply(b"{}", "application/json")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                if "messages" not in body:
                    return self.reply(b'{"input_tokens": 1}', "application/json")
                content, stop = model.next_content(body)
                if body.get("stream"):
                    self.reply(streamed(content, stop), "text/event-stream")
                else:
                    whole = {**message(), "content": [content], "stop_reason": stop}
                    self.reply(json.dumps(whole).encode(), "application/json")

            def reply(self, body, kind):
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def message():
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {"id": "msg", "type": "message", "role": "assistant", "model": "fake", "usage": usage}


def streamed(content, stop):
    start, delta = dict(content), {"type": "text_delta", "text": content.get("text")}
    if content["type"] == "tool_use":
        start["input"] = {}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(content["input"])}
    else:
        start["text"] = ""
    events = [
        ("message_start", {"message": {**message(), "content": [], "stop_reason": None}}),
        ("content_block_start", {"index": 0, "content_block": start}),
        ("content_block_delta", {"index": 0, "delta": delta}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}}),
        ("message_stop", {}),
    ]
    return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n" for kind, data in events).encode()


def blocks(said):
    content = said.get("content", [])
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def tool_results(body):
    every = (block for message in body["messages"] for block in blocks(message))
    return [block.get("content") for block in every if block.get("type") == "tool_result"]


def decoded(content):
    """A tool's record out of what the client made of it."""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    try:
        return json.loads(content)
    except (TypeError, ValueError):
        return content
