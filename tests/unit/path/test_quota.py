from l2mesh.path.quota import SearchQuota

HOST = "203.0.113.1"


def test_host_gets_128_in_any_minute_and_512_in_any_hour() -> None:
    quota = SearchQuota()
    asked = [each * 0.25 for each in range(4 * 7200)]
    sent = [at for at in asked if quota.allow(HOST, at)]
    for start in asked[::40]:
        assert sum(start <= at < start + 60 for at in sent) <= 128
        assert sum(start <= at < start + 3600 for at in sent) <= 512
    assert len(sent) == 1024


def test_hosts_do_not_disturb_each_other() -> None:
    quota = SearchQuota()
    assert all(quota.allow(HOST, 0.0) for _ in range(128))
    assert not quota.allow(HOST, 0.0) and quota.allow("203.0.113.2", 0.0)


def test_crowd_of_hosts_does_not_undo_the_limit() -> None:
    quota = SearchQuota()
    assert all(quota.allow(f"10.0.0.{number}", 0.0) for number in range(256))
    assert not quota.allow(HOST, 3599.0) and quota.allow(HOST, 3600.0)
