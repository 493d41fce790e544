import pytest

from orstats.api.refusal_patterns import QuotaWindowDetector


def closed(since, *probes):
    """A window that admitted 199 requests from 100.0 on, was closed at ``since`` and is asked at ``probes``."""
    window = QuotaWindowDetector()
    window.begin(100.2, [(100.0 + n / 1000, n % 10 == 9) for n in range(200)])
    for _ in range(19):
        window.accept()
    window.close(since)
    for sent_at in probes:
        window.refuse(sent_at)
    window.accept()
    return window


def test_rate_is_what_was_accepted_over_the_window():
    assert closed(100.3, 100.4, 100.6, 100.9).reopen(101.1, answer_s=0.01, random_share=0.0) == pytest.approx(199 / 1.0)


def test_bucket_that_reopens_at_the_next_probe_is_not_a_window():
    assert closed(100.3).reopen(100.36, answer_s=0.01, random_share=0.0) is None
    assert closed(100.3, 100.33).reopen(100.43, answer_s=0.01, random_share=0.0) is None


def test_requests_in_flight_may_keep_a_bucket_empty():
    assert closed(100.3, 100.35, 100.39).reopen(100.85, answer_s=0.2, random_share=0.0) is None


def test_refused_probes_may_be_random():
    probes = 100.4, 100.6, 100.9
    assert closed(100.3, *probes).reopen(101.1, answer_s=0.01, random_share=0.2) == pytest.approx(199 / 1.0)
    assert closed(100.3, *probes).reopen(101.1, answer_s=0.01, random_share=0.23) is None
    assert closed(100.3, *probes[1:]).reopen(101.1, answer_s=0.01, random_share=0.1) is None
    assert closed(100.3, *probes[1:]).reopen(101.1, answer_s=0.01, random_share=0.0) == pytest.approx(199 / 1.0)
    assert closed(100.3, *probes[2:]).reopen(101.1, answer_s=0.01, random_share=0.0) is None, (
        "seen too little of chance"
    )


def test_short_pause_after_long_work_is_not_a_window():
    assert closed(109.0, 109.1, 109.2).reopen(109.4, answer_s=0.01, random_share=0.0) is None


def test_the_next_window_is_counted_from_its_opening():
    window = closed(100.3, 100.4, 100.6, 100.9)
    window.reopen(101.1, answer_s=0.01, random_share=0.0)
    for _ in range(99):
        window.accept()
    window.skip(30.0)  # nothing was to be sent
    window.close(131.5)
    window.refuse(131.7)
    window.refuse(131.9)
    window.accept()
    assert window.reopen(132.1, answer_s=0.01, random_share=0.0) == pytest.approx(100 / 0.9)


def test_work_before_a_pause_is_not_counted():
    window = QuotaWindowDetector()
    window.begin(100.5, [(10.0, False), (11.0, False), *((100.0 + n / 100, n == 7) for n in range(41))])
    window.close(100.5)
    window.refuse(100.7)
    window.refuse(101.0)
    window.accept()
    assert window.reopen(101.0, answer_s=0.0, random_share=0.0) == pytest.approx(40 / 1.0)
