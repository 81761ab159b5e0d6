"""Headless Chromium for tests, spoken to over its DevTools protocol: clicks, keys, what the page says and asks for."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time

import pytest
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TIMEOUT = 60  # seconds, for anything that is waited for

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed, so no page can be looked at")


class Browser:
    """One page. `requests` lists every address it asked for, `complaints` what went to its console."""

    def __init__(self, profile):
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        self._numbers = itertools.count(1)
        self._session = None
        self.requests, self.complaints = [], []
        with contextlib.ExitStack() as stack:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, TIMEOUT)
            stack.callback(process.terminate)
            port, path = _read_when_written(profile / "DevToolsActivePort").split()
            address = f"ws://127.0.0.1:{port}{path}"
            self._socket = stack.enter_context(
                connect(address, max_size=None, open_timeout=TIMEOUT, ping_interval=None)
            )
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self._call(f"{domain}.enable")
            self.close = stack.pop_all().close

    def open(self, url, width=1280, height=900, scheme="light"):
        """Loads a page afresh."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.complaints.clear()
        self._call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression):
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition):
        """Until a JavaScript expression is true."""
        end = time.monotonic() + TIMEOUT
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} did not come true; console: {self.complaints}"
            time.sleep(0.03)

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def count(self, selector):
        return self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")

    def click(self, selector, x=0.5, y=0.5):
        """A mouse click into the element, at shares of its width and height."""
        with self.held(selector, x, y):
            pass

    @contextlib.contextmanager
    def held(self, selector, x=0.5, y=0.5):
        """The mouse's button is down on the element meanwhile."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            f" e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.left, r.top, r.width, r.height]; }})()"
        )
        place = {"x": box[0] + x * box[2], "y": box[1] + y * box[3], "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type="mousePressed", **place)
        yield
        self._call("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def press(self, key):
        with self.held_key(key):
            pass

    @contextlib.contextmanager
    def held_key(self, key):
        """A key is down meanwhile."""
        text = {"text": key} if len(key) == 1 else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        yield
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, **text)

    def fill(self, selector, value):
        """Sets a field's value as a user would."""
        self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(str(value))};"
            f" for (const name of ['input', 'change']) e.dispatchEvent(new Event(name, {{bubbles: true}})); }})()"
        )

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while (answer := json.loads(self._socket.recv(TIMEOUT))).get("id") != number:
            self._note(answer.get("method"), answer.get("params", {}))
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _note(self, event, parameters):
        if event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(parameters))


def _read_when_written(path):
    end = time.monotonic() + TIMEOUT
    while not (path.exists() and len(path.read_text().split()) == 2):
        assert time.monotonic() < end, "Chromium did not start"
        time.sleep(0.05)
    return path.read_text()
