"""News from a local server: good, hostile, huge, slow, oddly encoded, full of entities; and calendars from files."""

import asyncio
import gzip
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from brokers.news import desk as desk_module
from brokers.news.calendar_files import items_of_csv, items_of_ics
from brokers.news.desk import NewsDesk, Source
from brokers.news.feeds import items_of_feed
from brokers.news.fetching import SourceFailed, fetch, problem_of
from engine.research.events import NewsItem
from engine.units import NS_PER_SECOND

AT = 1_795_190_400 * NS_PER_SECOND  # 2026-11-20T16:00:00Z
HOUR_NS = 3_600 * NS_PER_SECOND


def rss(*items: str) -> str:
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title>{"".join(items)}</channel></rss>'


def entry(title: str, *, at: str = "Fri, 20 Nov 2026 15:00:00 GMT", guid: str = "1", more: str = "") -> str:
    return f"<item><title>{title}</title><guid>{guid}</guid><pubDate>{at}</pubDate>{more}</item>"


GOOD = rss(entry("Apple beats", more="<description>&lt;p&gt;Sales &lt;b&gt;rose&lt;/b&gt;&lt;/p&gt;</description>"),
           entry("Old news", guid="2", at="Thu, 19 Nov 2026 15:00:00 GMT"))

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """A server on loopback whose one page is what a test says."""

    def __init__(self) -> None:
        self.handler: Handler = self.page(GOOD)
        self.requests: list[web.Request] = []
        self.url = ""

    @staticmethod
    def page(body: str | bytes, **headers: str) -> Handler:
        async def answer(_: web.Request) -> web.StreamResponse:
            raw = body.encode() if isinstance(body, str) else body
            return web.Response(body=raw, headers={"Content-Type": "application/rss+xml", **headers})

        return answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handler(request)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    app = web.Application()
    app.router.add_get("/{tail:.*}", found.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/feed"
    yield found
    await runner.cleanup()


# ---- fetching --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "http://127.0.0.1/x", "http://localhost/x", "http://localhost./x", "http://10.1.2.3/", "http://192.168.0.1/", "http://[::1]/",
    "http://169.254.169.254/latest/meta-data", "http://[::ffff:127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://0.0.0.0/",
    "http://224.0.0.1/", "http://100.64.0.1/", "file:///etc/passwd", "ftp://example.com/", "javascript:alert(1)", "//example.com",
    "http://127.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127\u30020\u30020\u30021/", "http://127%2e0%2e0%2e1/",
    "http://\uff11\uff12\uff17.0.0.1/", "http://\u2460\u2461\u2466.0.0.1/", "http://127.0.0.1./", "http://300.1.1.1/",
    "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[::]/", "http://[fc00::1]/",
    "http://user:secret@example.com/", "http://[::1", "http://example.com:99999/", ""])
def test_addresses_that_are_not_fetched(address: str) -> None:
    assert problem_of(address, private=False)


@pytest.mark.parametrize("address", ["https://example.com/feed.xml", "http://8.8.8.8/", "http://example.com:8080/?a=b"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert problem_of(address, private=False) == ""


async def test_this_machine_is_not_asked_unless_that_is_configured(site: Site) -> None:
    with pytest.raises(SourceFailed, match="private = true allows it"):
        await fetch(site.url)
    for name in ("localhost", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127\u30020\u30020\u30021",
                 "\uff11\uff12\uff17.0.0.1", "[::ffff:7f00:1]", "[::1]", "0", "127.0.0.1."):
        with pytest.raises(SourceFailed):
            await fetch(site.url.replace("127.0.0.1", name))
    assert site.requests == []
    assert (await fetch(site.url, private=True)).body == GOOD.encode()


async def test_a_name_that_leads_to_this_machine_is_not_followed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    port = site.url.split(":")[2]
    with pytest.raises(SourceFailed, match="cannot be reached"):
        await fetch(f"http://news.example.com:{port}")
    assert site.requests == []


async def test_what_has_not_changed_does_not_come_again(site: Site) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        return web.Response(text=GOOD, headers={"ETag": '"v1"', "Last-Modified": "Fri, 20 Nov 2026 15:00:00 GMT"})

    site.handler = answer
    first = await fetch(site.url, private=True)
    assert (await fetch(site.url, first, private=True)).body is None
    assert site.requests[1].headers["If-Modified-Since"] == "Fri, 20 Nov 2026 15:00:00 GMT"


async def test_redirects_are_bounded_and_each_is_looked_at(site: Site) -> None:
    async def onward(request: web.Request) -> web.StreamResponse:
        step = int(request.query.get("step", "0"))
        return web.Response(text=GOOD) if step == 3 else web.Response(status=302, headers={"Location": f"/feed?step={step + 1}"})

    site.handler = onward
    assert (await fetch(site.url, private=True)).body == GOOD.encode()
    with pytest.raises(SourceFailed, match="more than 3 times"):
        await fetch(f"{site.url}?step=-1", private=True)
    for target in ("file:///etc/passwd", "ftp://example.com/"):
        async def away(_: web.Request, target: str = target) -> web.StreamResponse:
            return web.Response(status=301, headers={"Location": target})

        site.handler = away
        with pytest.raises(SourceFailed, match="must begin with https"):
            await fetch(site.url, private=True)


@pytest.mark.parametrize("status", [204, 400, 403, 404, 500, 503])
async def test_a_refusal_is_told_by_its_number(site: Site, status: int) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    site.handler = answer
    with pytest.raises(SourceFailed, match=str(status)):
        await fetch(site.url, private=True)


async def test_what_is_too_long_is_left_whether_it_says_so_or_not(site: Site) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b"x" * 10_000)
        return response

    for handler in (Site.page(b"x" * 20_000), endless,
                    Site.page(gzip.compress(b"x" * 50_000_000), **{"Content-Encoding": "gzip"})):
        site.handler = handler
        with pytest.raises(SourceFailed, match="longer than 10000 bytes"):
            await fetch(site.url, private=True, most_bytes=10_000)


async def test_a_slow_source_is_not_waited_for(site: Site) -> None:
    released = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"<rss>")
        await released.wait()
        return response

    site.handler = slow
    with pytest.raises(SourceFailed, match="did not answer within"):
        await fetch(site.url, private=True, whole_seconds=0.2)
    released.set()


async def test_nobody_there_is_a_plain_failure() -> None:
    with pytest.raises(SourceFailed, match="cannot be reached"):
        await fetch("http://127.0.0.1:9/feed", private=True)


# ---- feeds -----------------------------------------------------------------------------------------------------------------


def titles(items: Sequence[NewsItem]) -> list[str]:
    return [item.title for item in items]


def test_a_feed_gives_its_items_with_their_times() -> None:
    first, second = items_of_feed(GOOD.encode(), "wire", AT)
    assert (first.title, first.text, first.item_id, first.source) == ("Apple beats", "Sales rose", "1", "wire")
    assert (first.event_time_ns, first.known_at_ns) == (AT - HOUR_NS, AT)
    assert second.event_time_ns == AT - 25 * HOUR_NS


def test_atom_is_read_too() -> None:
    body = ('<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title><entry><title>Fed holds</title><id>urn:1</id>'
            "<updated>2026-11-20T14:00:00+02:00</updated></entry></feed>")
    item, = items_of_feed(body.encode(), "wire", AT)
    assert (item.title, item.event_time_ns) == ("Fed holds", AT - 4 * HOUR_NS)


@pytest.mark.parametrize("at", ["", "yesterday", "Fri, 20 Nov 2027 15:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_an_item_without_a_time_of_ours_is_left_out(at: str) -> None:
    assert titles(items_of_feed(rss(entry("Apple", at=at), entry("Fed", guid="2")).encode(), "wire", AT)) == ["Fed"]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "utf-16", "windows-1252"])
def test_encodings_are_what_they_say(encoding: str) -> None:
    text = rss(entry("Société Générale beats")).replace('version="1.0"', f'version="1.0" encoding="{encoding}"', 1)
    assert titles(items_of_feed(text.encode(encoding), "wire", AT)) == ["Société Générale beats"]


def test_a_wrong_encoding_breaks_nothing() -> None:
    text = rss(entry("Société beats")).replace('version="1.0"', 'version="1.0" encoding="utf-8"', 1)
    assert len(items_of_feed(text.encode("latin-1"), "wire", AT)) == 1


BOMB = ('<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
        + ']><rss version="2.0"><channel><item><title>&j;</title></item></channel></rss>')
LEAK = ('<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        + rss(entry("&x;")).removeprefix('<?xml version="1.0"?>'))


@pytest.mark.parametrize("body", [BOMB.encode(), LEAK.encode(), BOMB.encode("utf-16"), BOMB.lower().encode()])
def test_entities_of_a_feeds_own_are_not_expanded(body: bytes) -> None:
    with pytest.raises(SourceFailed, match="entities"):
        items_of_feed(body, "wire", AT)


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"<html><body>404</body></html>", b'{"error": 1}', b"x" * 100_000])
def test_what_is_no_feed_is_told(body: bytes) -> None:
    with pytest.raises(SourceFailed, match="no feed"):
        items_of_feed(body, "wire", AT)


def test_markup_in_a_headline_is_words() -> None:
    item, = items_of_feed(rss(entry("<![CDATA[<b>Apple</b> <script>alert(1)</script><img src=x onerror=y>]]>")).encode(), "w", AT)
    assert "<" not in item.title
    assert item.title.startswith("Apple")


def test_a_feed_of_ten_thousand_items_is_cut() -> None:
    body = rss(*(entry(f"News {number}", guid=str(number)) for number in range(3_000)))
    assert len(items_of_feed(body.encode(), "wire", AT)) == 200


def test_a_deep_feed_ends() -> None:
    body = "<rss version='2.0'><channel>" + "<item>" * 5_000
    assert items_of_feed(body.encode(), "wire", AT) == ()


# ---- calendars -------------------------------------------------------------------------------------------------------------

CSV = """time,title,kind,symbols,actual,consensus,usual_miss
2026-11-24T21:30:00Z,Apple results,earnings,AAPL,,1.60,0.05
2026-11-20T13:30:00+00:00,US CPI,inflation,,3.1,3.0,0.1
"""


def test_a_calendar_as_csv() -> None:
    results, prices = items_of_csv(CSV.encode(), "own", AT)
    assert (results.kind, results.symbols, results.actual, results.consensus) == ("earnings", ("AAPL",), None, 1.6)
    assert results.event_time_ns > results.known_at_ns == AT
    assert (prices.actual, prices.usual_miss) == (3.1, 0.1)
    came, _ = items_of_csv(CSV.replace("AAPL,,", "AAPL,1.64,").encode(), "own", AT)
    assert came.item_id != results.item_id  # what came of it is another item


@pytest.mark.parametrize(("text", "word"), [
    ("a,b\n", "time and title"), ("", "time and title"), ("time,title\nsoon,x\n", "line 2.*no time"),
    ("time,title\n2026-01-01,\n", "line 2.*no title"), ("time,title,kind\n2026-01-01,x,party\n", "line 2.*party"),
    ("time,title,actual\n2026-01-01,x,nan\n", "line 2.*actual"), ("time,title,actual\n2026-01-01,x,1e99\n", "actual"),
    ("time,title\n0001-01-01,x\n", "no time")])
def test_a_bad_row_is_named(text: str, word: str) -> None:
    with pytest.raises(SourceFailed, match=word):
        items_of_csv(text.encode(), "own", AT)


ICS = ("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:fomc-1\r\nDTSTART:20261209T190000Z\r\nSUMMARY:FOMC rate\r\n"
       "  decision\\, press conference\r\nCATEGORIES:RATES\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:e2\r\n"
       "DTSTART;TZID=America/New_York:20261124T163000\r\nSUMMARY:Apple results\r\nCATEGORIES:earnings,AAPL\r\nEND:VEVENT\r\n"
       "BEGIN:VEVENT\r\nUID:e3\r\nDTSTART;VALUE=DATE:20261225\r\nSUMMARY:Day\r\nEND:VEVENT\r\n"
       "BEGIN:VEVENT\r\nUID:e4\r\nSUMMARY:No start\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")


def test_a_calendar_as_ics() -> None:
    rates, results, day = items_of_ics(ICS.encode(), "fomc", AT)
    assert (rates.title, rates.kind) == ("FOMC rate decision, press conference", "rates")
    assert (results.kind, results.symbols) == ("earnings", ("AAPL",))
    assert results.event_time_ns == AT + (4 * 24 * 60 + 5 * 60 + 30) * 60 * NS_PER_SECOND  # 21:30 of UTC in winter
    assert day.event_time_ns % (24 * HOUR_NS) == 0
    with pytest.raises(SourceFailed, match="no iCalendar"):
        items_of_ics(GOOD.encode(), "fomc", AT)


# ---- the desk --------------------------------------------------------------------------------------------------------------


class Taken:
    """Takes what the desk hands on."""

    def __init__(self) -> None:
        self.items: list[NewsItem] = []
        self.threads: list[str] = []
        self.failure: Exception | None = None

    def __call__(self, items: Sequence[NewsItem]) -> None:
        if self.failure is not None:
            raise self.failure
        self.threads.append(threading.current_thread().name)
        self.items += items


async def test_what_is_new_is_handed_on_once(site: Site) -> None:
    taken, source = Taken(), Source("wire", "rss", site.url, private=True)
    desk = NewsDesk([source], taken, lambda: AT)
    assert (await desk.ask_once(source))[2:] == (2, 2, "")
    assert titles(taken.items) == ["Old news", "Apple beats"]
    site.handler = Site.page(rss(entry("Apple beats"), entry("More", guid="3")))
    assert (await desk.ask_once(source))[2:] == (2, 1, "")
    assert titles(taken.items)[2:] == ["More"]


async def test_what_could_not_be_kept_comes_again(site: Site) -> None:
    taken, source = Taken(), Source("wire", "rss", site.url, private=True)
    desk = NewsDesk([source], taken, lambda: AT)
    site.handler = Site.page(GOOD, ETag='"v1"')
    taken.failure = OSError("the disk is full")
    assert (await desk.ask_once(source)).failure == "it broke (OSError)"
    taken.failure = None
    assert (await desk.ask_once(source)).fresh == 2
    assert "If-None-Match" not in site.requests[1].headers, "a server that is told what is known would send nothing"
    await desk.ask_once(source)
    assert site.requests[2].headers["If-None-Match"] == '"v1"'


async def test_what_could_not_be_read_is_asked_for_again(site: Site) -> None:
    site.handler = Site.page("no feed", ETag='"v1"')
    source = Source("wire", "rss", site.url, private=True)
    desk = NewsDesk([source], Taken(), lambda: AT)
    await desk.ask_once(source)
    site.handler = Site.page(GOOD, ETag='"v1"')
    assert (await desk.ask_once(source)).fresh == 2
    assert "If-None-Match" not in site.requests[1].headers


async def test_reading_is_bounded_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(desk_module, "READING_SECONDS", 0.1)
    monkeypatch.setattr(desk_module, "items_of_feed", lambda *_: released.wait(30))
    source = Source("wire", "rss", site.url, private=True)
    assert "could not be read within" in (await NewsDesk([source], Taken(), lambda: AT).ask_once(source)).failure
    released.set()


async def test_files_of_the_home_are_calendars(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(CSV)
    taken, source = Taken(), Source("own", "csv", file=tmp_path / "own.csv")
    desk = NewsDesk([source], taken, lambda: AT)
    assert (await desk.ask_once(source)).fresh == 2
    missing = Source("own", "ics", file=tmp_path / "none.ics")
    assert "none.ics cannot be read" in (await NewsDesk([missing], taken, lambda: AT).ask_once(missing)).failure


async def test_one_source_that_breaks_does_not_hold_the_others(site: Site) -> None:
    def broken(_: int) -> Sequence[NewsItem]:
        raise SourceFailed("it is closed")

    taken = Taken()
    desk = NewsDesk([Source("shut", "alpaca", ask=broken, every_seconds=0.01), Source("wire", "rss", site.url, private=True)],
                    taken, lambda: AT)
    desk.start()
    deadline = time.monotonic() + 60
    while len(desk.standings()) < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await asyncio.to_thread(desk.close)
    assert [(one.name, one.fresh, one.failure) for one in desk.standings()] == [("shut", 0, "it is closed"), ("wire", 2, "")]
    assert not any(thread.name == "news" for thread in threading.enumerate())


def test_an_end_does_not_wait_for_a_source_that_hangs() -> None:
    released, asked = threading.Event(), threading.Event()

    def hang(_: int) -> Sequence[NewsItem]:
        asked.set()
        released.wait(60)
        return ()

    desk = NewsDesk([Source("slow", "alpaca", ask=hang)], Taken(), lambda: AT)
    desk.start()
    assert asked.wait(30)
    desk.close(30)
    assert not any(thread.name == "news" for thread in threading.enumerate())
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "news-work")
    released.set()


def test_without_sources_there_is_no_thread() -> None:
    desk = NewsDesk([], Taken(), lambda: AT)
    desk.start()
    desk.close()
    assert desk.standings() == ()
