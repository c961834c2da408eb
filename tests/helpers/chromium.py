"""A headless Chromium, driven by the DevTools protocol over its web socket."""

import base64
import io
import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
SWITCHES = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--hide-scrollbars',
    '--force-device-scale-factor=1',
    '--remote-debugging-port=0',
)
PATIENCE = 20.0


def find_chromium():
    """Path of the system's Chromium; the test is skipped if there is none."""
    pytest.importorskip('websocket', reason='needs websocket-client')
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip('needs Chromium (Debian and Ubuntu: apt-get install chromium)')
    return path


class Browser:
    """One page at a time, and all that it complained about.

    Attributes:
        problems: Texts of exceptions, of messages in the console that are no mere
            notes, and of requests that were made beside the page's own file.
    """

    def __init__(self, folder: Path) -> None:
        program = find_chromium()
        import websocket

        self.problems: list[str] = []
        self.url = 'about:blank'
        self._number = 0
        self._log = open(folder / 'log', 'wb')  # noqa: SIM115  closed with the browser
        self._process = subprocess.Popen(
            [program, *SWITCHES, f'--user-data-dir={folder}', 'about:blank'],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        port, path = self._address(folder / 'DevToolsActivePort')
        url = f'ws://127.0.0.1:{port}{path}'
        self._socket = websocket.create_connection(
            url, timeout=PATIENCE, suppress_origin=True
        )
        self._session: str | None = None
        target = self.call('Target.getTargets')['targetInfos'][0]['targetId']
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        self.resize(900, 800)

    def _address(self, file: Path) -> tuple[str, str]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return lines[0], lines[1]
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError('Chromium did not start; see the file log beside its data')

    def call(self, method: str, **params):
        """Calls a method of the protocol and returns its result."""
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': params}
        if self._session is not None:
            message['sessionId'] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get('id') == self._number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]["message"]}')
                return answer['result']
            self._notice(answer)

    def _notice(self, event: dict) -> None:
        kind, params = event.get('method'), event.get('params', {})
        if kind == 'Runtime.exceptionThrown':
            self.problems.append(json.dumps(params['exceptionDetails']))
        elif kind == 'Runtime.consoleAPICalled' and params['type'] != 'log':
            self.problems.append(json.dumps(params['args']))
        elif kind == 'Log.entryAdded':
            self.problems.append(params['entry']['text'])
        elif kind == 'Page.javascriptDialogOpening':
            self.problems.append(f'dialog: {params["message"]}')
        elif kind == 'Network.requestWillBeSent':
            url = params['request']['url']
            if url != self.url and not url.startswith('data:'):
                self.problems.append(f'request: {url}')

    def resize(self, width: int, height: int) -> None:
        """Sets the size of the window, pixels."""
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, path: Path) -> None:
        """Opens a page, light, and waits until it is drawn."""
        self.problems.clear()
        self.url = path.resolve().as_uri()
        feature = {'name': 'prefers-color-scheme', 'value': 'light'}
        self.call('Emulation.setEmulatedMedia', features=[feature])
        self.call('Page.navigate', url=self.url)
        self.wait('document.readyState === "complete"')
        self.wait('document.getElementById("clock").textContent !== ""')

    def run(self, script: str):
        """Value of an expression of JavaScript."""
        answer = self.call(
            'Runtime.evaluate',
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        if 'exceptionDetails' in answer:
            raise RuntimeError(f'{script}: {answer["exceptionDetails"]}')
        return answer['result'].get('value')

    def wait(self, condition: str) -> None:
        """Waits until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f'{condition} is not true; {self.problems}')
            time.sleep(0.02)

    def settle(self) -> None:
        """Waits until what was asked for is on the screen."""
        twice = 'requestAnimationFrame(() => requestAnimationFrame(done))'
        self.run(f'new Promise((done) => {twice}).then(() => 1)')

    def text(self, selector: str) -> str:
        """Text of an element."""
        return self.run(f'document.querySelector({json.dumps(selector)}).textContent')

    def click(self, selector: str) -> None:
        """Clicks an element."""
        self.run(f'document.querySelector({json.dumps(selector)}).click()')
        self.settle()

    def press(self, key: str, shift: bool = False) -> None:
        """Presses and lets go of a key."""
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, modifiers=8 * shift)
        self.settle()

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element in the window, pixels."""
        box = self.run(
            '(({left, top, width, height}) => [left, top, width, height])'
            f'(document.querySelector({json.dumps(selector)}).getBoundingClientRect())'
        )
        return tuple(box)

    def mouse(self, kind: str, x: float, y: float, **more) -> None:
        """Sends an event of the mouse: mousePressed, mouseMoved, mouseWheel …"""
        self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, **more)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drags with the left button."""
        held = {'button': 'left', 'buttons': 1, 'clickCount': 1}
        self.mouse('mousePressed', *start, **held)
        for share in (0.5, 1.0):
            middle = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
            self.mouse('mouseMoved', *middle, button='left', buttons=1)
        self.mouse('mouseReleased', *end, button='left', clickCount=1)
        self.settle()

    def choose(self, selector: str, value: str) -> None:
        """Chooses a value of a list, or moves a slider there."""
        element = f'document.querySelector({json.dumps(selector)})'
        self.run(
            f'{element}.value = {json.dumps(value)};'
            f'for (const name of ["input", "change"]) '
            f'{element}.dispatchEvent(new Event(name, {{bubbles: true}}))'
        )
        self.settle()

    def picture(self, selector: str) -> np.ndarray:
        """What an element looks like, RGB ``(H, W, 3)``."""
        x, y, width, height = self.place(selector)
        clip = {'x': x, 'y': y, 'width': width, 'height': height, 'scale': 1}
        shot = self.call('Page.captureScreenshot', format='png', clip=clip)
        with Image.open(io.BytesIO(base64.b64decode(shot['data']))) as image:
            return np.asarray(image.convert('RGB'))

    def close(self) -> None:
        """Ends the browser."""
        self._session = None
        self.call('Browser.close')
        self._socket.close()
        self._process.wait(PATIENCE)
        self._log.close()
