"""Headless Chromium, driven through a pipe in its DevTools protocol: pages as people meet them."""

import base64
import json
import os
import shutil
import subprocess
import time

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Tab": 9}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESK = {"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": False}


def chromium():
    """The browser's path, None where there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of one browser. Commands go to descriptor 3 of it and come back from 4."""

    def __init__(self, folder, screen=DESK):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()

        def arranged():
            # First away from 3 and 4, where one of them may stand in the other's place.
            there, back = os.dup(to_read), os.dup(to_write)
            os.dup2(there, 3)
            os.dup2(back, 4)

        self._process = subprocess.Popen(
            [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             f"--user-data-dir={folder}", "--remote-debugging-pipe", "--no-first-run"],
            preexec_fn=arranged, pass_fds=(to_read, to_write, 3, 4),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest, self._session = 0, b"", None
        self.messages = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        told = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = told["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", **screen)
        if screen["mobile"]:
            self.send("Emulation.setTouchEmulationEnabled", enabled=True)

    def send(self, method, **parameters):
        """A command's result; what else the browser says meanwhile is kept in `messages`."""
        self._number += 1
        told = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._to, json.dumps(told).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = os.read(self._from, 1 << 20)
                assert part, "the browser ended"
                self._rest += part
            line, _, self._rest = self._rest.partition(b"\0")
            said = json.loads(line)
            if said.get("id") == self._number:
                assert "error" not in said, said
                return said["result"]
            self.messages.append(said)

    def open(self, url):
        """Goes there and waits for the page."""
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script):
        """What a script evaluates to."""
        told = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, script, seconds=30.0):
        """Waits until a script evaluates to something true, which is returned."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.run(
                f"(() => {{ try {{ return {script}; }} catch (e) {{ return null; }} }})()"
            )
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{script} did not come true; {self.run('document.body.innerText')}")

    def press(self, *keys):
        """Keys, one after the other, wherever the focus is."""
        for key in keys:
            is_named = key in _KEYS
            told = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper()))}
            text = {} if is_named and key != "Enter" else {"text": "\r" if key == "Enter" else key}
            self.send("Input.dispatchKeyEvent", type="keyDown", **told, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def hold(self, key):
        """What comes of a key that stays down, after the first time."""
        told = {"key": key, "windowsVirtualKeyCode": _KEYS[key], "autoRepeat": True}
        self.send("Input.dispatchKeyEvent", type="keyDown", **told)
        self.send("Input.dispatchKeyEvent", type="keyUp", **told)
        time.sleep(0.5)

    def type(self, text):
        """Text into the field that has the focus."""
        self.send("Input.insertText", text=text)

    def middle(self, selector):
        """Where an element is on the screen, scrolled to."""
        return self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )

    def drag(self, selector, beyond):
        """Takes an element with the mouse and lets it go just beyond the middle of another."""
        x, y = self.middle(selector)
        by = self.middle(beyond)[1] + 8 - y
        mouse = {"button": "left", "x": x}
        self.send("Input.dispatchMouseEvent", type="mousePressed", clickCount=1, y=y, **mouse)
        for step in range(1, 11):
            self.send(
                "Input.dispatchMouseEvent", type="mouseMoved", buttons=1, y=y + by * step / 10,
                **mouse,
            )  # fmt: skip
        self.send("Input.dispatchMouseEvent", type="mouseReleased", clickCount=1, y=y + by, **mouse)

    def swipe(self, selector, beyond):
        """The same with a finger."""
        x, y = self.middle(selector)
        by = self.middle(beyond)[1] + 8 - y
        for step in range(11):
            kind = "touchStart" if step == 0 else "touchMove"
            at = [{"x": x, "y": y + by * step / 10}]
            self.send("Input.dispatchTouchEvent", type=kind, touchPoints=at)
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def requested(self):
        """Addresses that the page asked for so far."""
        return [
            said["params"]["request"]["url"] for said in self.messages
            if said.get("method") == "Network.requestWillBeSent"
        ]  # fmt: skip

    def complaints(self):
        """Errors and warnings of the page: scripts that failed, policies that were broken."""
        self.run("1")
        return [
            json.dumps(said["params"]) for said in self.messages
            if said.get("method") == "Runtime.exceptionThrown"
            or (said.get("method") == "Log.entryAdded"
                and said["params"]["entry"]["level"] in ("error", "warning"))
        ]  # fmt: skip

    def picture(self, path):
        """The whole page as a PNG."""
        told = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(told["data"]))

    def close(self):
        """The end of it."""
        os.close(self._to)
        self._process.kill()
        self._process.wait()
        os.close(self._from)
