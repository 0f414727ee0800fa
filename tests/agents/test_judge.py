"""A judge behind an address, played here: both orders, shares of letters, what is no verdict."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penchant.agents.judge import Judge
from penchant.errors import DataError, EndpointError
from penchant.lm.remote import Endpoint
from penchant.simulation.tasks.task import Problem


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = asked["messages"][0]["content"]
        self.server.seen.append(text)
        first = text.split("[Answer A]\n")[1].split("\n\n[Answer B]")[0]
        second = text.split("[Answer B]\n")[1].split("\n\nReply")[0]
        said = self.server.judges(first, second)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())


def wrote(text, shares=None):
    choice = {"message": {"content": text}}
    if shares:
        top = [{"token": token, "logprob": math.log(p)} for token, p in shares.items()]
        choice["logprobs"] = {"content": [{"top_logprobs": top}]}
    return {"choices": [choice]}


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.seen = []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def judge_of(server):
    return Judge(endpoint=Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1", model="j",
                                   retries=0, timeout=5.0))  # fmt: skip


def test_a_judge_who_likes_the_first_place_has_no_say(server):
    server.judges = lambda first, second: wrote("A")
    found = judge_of(server).compare("q", "x", "y")
    assert (found.first, found.by_place) == (0.5, 1.0)
    assert len(server.seen) == 2


def test_a_judge_who_likes_the_longer_answer_says_so_in_both_orders(server):
    server.judges = lambda first, second: wrote("A" if len(first) > len(second) else " (B)")
    found = judge_of(server).compare("q {first}", "short", "much longer {second}")
    assert (found.first, found.by_place) == (0.0, 0.0)
    # What people wrote is passed on as it is.
    assert all("q {first}" in text and "much longer {second}" in text for text in server.seen)


def test_shares_of_the_letters_count_where_the_server_gives_them(server):
    def judges(first, second):
        likes_a = 0.8 if first == "x" else 0.4
        return wrote("A", {"A": 0.9 * likes_a, " b": 0.9 * (1 - likes_a), "The": 0.05})

    server.judges = judges
    found = judge_of(server).compare("q", "x", "y")
    assert found.first == pytest.approx(0.5 * (0.8 + 0.6))
    assert found.by_place == pytest.approx(0.8 + 0.4 - 1.0)
    # Letters that are hardly ever meant are no verdict: what was written counts.
    server.judges = lambda first, second: wrote("B", {"The": 0.98, "A": 0.01, "B": 0.001})
    assert judge_of(server).compare("q", "x", "y").by_place == -1.0


def test_ways_to_write_a_letter_are_added_up():
    from penchant.agents.judge import _share_of_a

    top = [("A", 0.3), (" a", 0.3), ("B", 0.2), ("C", 0.2)]
    said = [{"token": token, "logprob": math.log(p)} for token, p in top]
    choice = {"logprobs": {"content": [{"top_logprobs": said}]}}
    assert _share_of_a(choice) == pytest.approx(0.6 / 0.8)
    # Only one of the two among what is told: how rare the other is nobody knows.
    choice["logprobs"]["content"][0]["top_logprobs"] = said[:2]
    assert _share_of_a(choice) is None


def test_a_judge_is_asked_in_words_of_ones_own(server):
    server.judges = lambda first, second: wrote("'b'")
    ask = "{prompt}! [Answer A]\n{first}\n\n[Answer B]\n{second}\n\nReply"
    judge = Judge(endpoint=judge_of(server).endpoint, ask=ask)
    assert judge.compare("q", "x", "y").by_place == -1.0
    assert sorted(text[:2] for text in server.seen) == ["q!", "q!"]


def test_what_is_no_verdict_is_an_error_and_not_one_half(server):
    server.judges = lambda first, second: wrote("Both are fine.")
    with pytest.raises(DataError, match="expected A or B"):
        judge_of(server).compare("q", "x", "y")
    server.judges = lambda first, second: {"data": []}
    with pytest.raises(DataError, match="server of chat"):
        judge_of(server).compare("q", "x", "y")
    server.judges = lambda first, second: wrote("A" if first != "bad" else "?")
    found = judge_of(server).compare_all([("q", "x", "y"), ("q", "bad", "y")])
    assert found[0].first == 0.5
    assert isinstance(found[1], DataError)


def test_a_judge_that_is_not_there_is_told():
    gone = Judge(endpoint=Endpoint(url="http://127.0.0.1:9/v1", model="j", retries=0))
    with pytest.raises(EndpointError, match="Is the server up"):
        gone.compare("q", "x", "y")
    (found,) = gone.compare_all([("q", "x", "y")])
    assert isinstance(found, EndpointError)


def test_a_response_is_graded_against_the_demonstration(server):
    server.judges = lambda first, second: wrote("A" if "good" in first else "B")
    problem = Problem(prompt="q", demonstration="plain", difficulty=1)
    assert judge_of(server).grade(problem, "good") == 1.0
    assert judge_of(server).grade(problem, "bad") == 0.0 + 0.5 * (0.0 + 1.0)
