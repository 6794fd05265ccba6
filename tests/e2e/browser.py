"""A headless Chromium, driven through chromedriver's WebDriver interface."""
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import live
from live import check

ESCAPE, CONTROL, ENTER = "\ue00c", "\ue009", "\ue007"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1240,900"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# A machine with other work may take long to start a browser.
TIMEOUT_S = 300


class Browser:
    def __init__(self, folder):
        self.log_path = os.path.join(folder, "chromedriver.log")
        self.log = open(self.log_path, "wb")
        # A port that it chooses itself nobody else takes before it has it.
        self.driver = subprocess.Popen([shutil.which("chromedriver"), "--port=0"],
                                       stdout=self.log, stderr=self.log)
        self.session = None
        self.wait_for_driver()
        flags = FLAGS + ["--user-data-dir=" + os.path.join(folder, "profile")]
        got = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "timeouts": {"script": TIMEOUT_S * 1000, "pageLoad": TIMEOUT_S * 1000},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": flags, "binary": shutil.which("chromium")}}}})
        self.session = "/session/" + got["sessionId"]

    def wait_for_driver(self):
        end = time.monotonic() + TIMEOUT_S
        while True:
            with open(self.log_path, errors="replace") as f:
                started = re.search(r"started successfully on port (\d+)", f.read())
            if started:
                self.port = int(started[1])
                return
            check(self.driver.poll() is None, "chromedriver ended")
            check(time.monotonic() < end, "chromedriver does not start")
            time.sleep(0.05)

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            "http://127.0.0.1:%d%s" % (self.port, path), method=method,
            data=None if body is None else json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as e:
            raise AssertionError(e.read().decode()) from e

    def post(self, path, body):
        return self.call("POST", self.session + path, body)

    def open(self, path):
        self.post("/url", {"url": "file://" + urllib.parse.quote(path)})

    def js(self, text, *args):
        return self.post("/execute/sync", {"script": text, "args": list(args)})

    def find(self, css):
        return self.post("/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        """With a real mouse, at the middle of what is seen of the element."""
        self.point(css, [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}])

    def point(self, css, more=()):
        x, y = self.js("""
            const e = document.querySelector(arguments[0]);
            e.scrollIntoView({block: "center"});
            const r = e.getBoundingClientRect();
            const from = Math.max(r.left, 0), to = Math.min(r.right, innerWidth);
            return [Math.round((from + to) / 2), Math.round((r.top + r.bottom) / 2)];""", css)
        self.post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "x": x, "y": y, "duration": 0}, *more]}]})

    def keys(self, text):
        actions = [{"type": t, "value": c} for c in text for t in ("keyDown", "keyUp")]
        self.post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def chord(self, modifier, key):
        self.post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
            {"type": "keyDown", "value": modifier}, {"type": "keyDown", "value": key},
            {"type": "keyUp", "value": key}, {"type": "keyUp", "value": modifier}]}]})

    def text(self, css):
        return self.js("return document.querySelector(arguments[0]).textContent;", css)

    def screenshot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("GET", self.session + "/screenshot")))

    def close(self):
        try:
            if self.session:
                self.call("DELETE", self.session)
        except (AssertionError, OSError):
            pass
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.log.close()


def is_there():
    return shutil.which("chromedriver") and shutil.which("chromium")


def run(tests, begin):
    """Runs the tests with one browser and one folder, which begin() is told of first."""
    if not is_there():
        print("1..0 # SKIP needs chromium and chromedriver")
        return
    folder = tempfile.mkdtemp()
    browser = None
    try:
        browser = Browser(folder)
        begin(browser, folder)
        live.run(tests, needs_bpf=False)
    finally:
        if browser:
            browser.close()
        shutil.rmtree(folder, ignore_errors=True)
