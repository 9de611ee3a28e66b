"""The end of a listening socket, with nothing forgotten that it had accepted a moment ago."""

import asyncio

TURNS_TO_A_CONNECTION = 3


async def stop_accepting(server: asyncio.Server) -> None:
    """Close what listens, once every socket that was accepted by now is a connection of the server's protocol.

    asyncio makes a connection of an accepted socket over three turns of its loop; where the server is closed before the first of
    them, it drops the socket without closing it (`Server._attach` refuses it in `_accept_connection2`).
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        loop.remove_reader(listener)
    for _ in range(TURNS_TO_A_CONNECTION):
        await asyncio.sleep(0)
    server.close()
