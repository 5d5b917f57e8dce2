"""The servers the other tests rely on do start, and are what they claim to be."""

import psycopg
from minio import Minio
from redis import Redis


def test_postgres_database_is_fresh_and_utf8(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname='public'").fetchone() == (
            0,
        )


def test_redis_answers(redis_url):
    with Redis.from_url(redis_url) as client:
        assert client.ping()


def test_s3_bucket_is_there_and_empty(s3):
    client = Minio(s3["endpoint"], s3["access_key"], s3["secret_key"], secure=False, region=s3["region"])
    assert client.bucket_exists(s3["bucket"])
    assert list(client.list_objects(s3["bucket"])) == []
