"""HTTP for async-upnp-client: to the router alone, without redirects, bounded in size and time."""

from __future__ import annotations

from typing import Final

import aiohttp
from async_upnp_client.client import UpnpRequester
from async_upnp_client.const import HttpRequest, HttpResponse
from async_upnp_client.exceptions import UpnpCommunicationError

from l2mesh.service.portmap.ssdp import is_at

__all__ = ["Requester"]

MAX_BYTES: Final = 256 * 1024


class Requester(UpnpRequester):
    """Requests to one host; UpnpCommunicationError for everything that goes wrong."""

    def __init__(self, host: str, wait_s: float) -> None:
        self._host = host
        self._timeout = aiohttp.ClientTimeout(total=wait_s)

    async def async_http_request(self, http_request: HttpRequest) -> HttpResponse:
        """One request, the name of which is the library's."""
        if not is_at(http_request.url, self._host):
            raise UpnpCommunicationError(f"the gateway names another host: {http_request.url!r}")
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.request(
                    http_request.method,
                    http_request.url,
                    headers=http_request.headers,
                    data=http_request.body,
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response)
                return HttpResponse(response.status, response.headers, body)
        except (TimeoutError, aiohttp.ClientError, UnicodeDecodeError) as error:
            raise UpnpCommunicationError(str(error) or type(error).__name__) from error


async def _read(response: aiohttp.ClientResponse) -> str:
    """The body, at most `MAX_BYTES`."""
    parts = bytearray()
    async for part in response.content.iter_chunked(16_384):
        parts += part
        if len(parts) > MAX_BYTES:
            raise UpnpCommunicationError("the gateway's answer is too long")
    return parts.decode("utf-8")
