from l2mesh.bucket import REMEMBERED_S, TokenBucket, TokenBuckets


def test_so_many_at_once_and_so_many_a_second() -> None:
    bucket = TokenBucket(2.0, 4, 0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [True] * 4 + [False]
    assert sum(bucket.take(at / 10) for at in range(101)) == 20
    assert not bucket.is_full(10.0)
    assert bucket.is_full(12.0)


def test_some_of_many_pass() -> None:
    bucket = TokenBucket(1.0, 4, 0.0)
    assert bucket.take_some(0.0, 3) == 3
    assert bucket.take_some(0.0, 3) == 1
    assert bucket.take_some(2.0, 3) == 2


def test_each_key_has_its_own() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(1.0, 2, 10)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 0.0)
    buckets.forget("a")
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    buckets.clear()
    assert buckets.take("a", 0.0)


def test_a_crowd_of_keys_undoes_no_limit() -> None:
    buckets: TokenBuckets[int] = TokenBuckets(0.001, 1, 10)
    assert buckets.take(0, 0.0)
    assert sum(buckets.take(key, 1.0) for key in range(1, 100)) == 9
    assert not buckets.take(0, 2.0)
    assert not buckets.take(100, REMEMBERED_S)
    assert buckets.take(100, REMEMBERED_S + 1.0)
    assert not buckets.take(0, REMEMBERED_S + 2.0), "asked lately, so not forgotten"
