"""gRPC over a runtime's Unix socket: the Container Runtime Interface (CRI) v1, and containerd's own API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from keelwatch.enrich.runtime import containerd_pb2, cri_pb2

CALL_SECONDS = 2.0
MAX_ANSWER = 16 << 20
"""Bytes; the kubelet's own limit for a CRI message."""
SILENT = ("DEADLINE_EXCEEDED", "UNAVAILABLE", "UNIMPLEMENTED")
"""gRPC's codes for a runtime that does not answer, or that does not speak CRI v1."""


class CriError(Exception):
    """The call failed. `code` is the name of gRPC's status code."""

    def __init__(self, method: str, code: str, message: str) -> None:
        super().__init__(f"{method}: {code}: {message}")
        self.code = code


class Cri:
    """One connection to a runtime; safe to share between threads."""

    def __init__(self, socket: Path | str) -> None:
        self.socket = str(socket)
        # A look-up in gRPC's global pool would join connections of sockets that were replaced.
        options = [("grpc.max_receive_message_length", MAX_ANSWER), ("grpc.use_local_subchannel_pool", 1)]
        options += [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
        self._channel = grpc.insecure_channel(f"unix:{self.socket}", options=options)

    def call(self, method: str, seconds: float = CALL_SECONDS, /, **fields: Any) -> Any:
        """Call CRI's `method` with a request of those fields; return the response or raise CriError."""
        request = getattr(cri_pb2, f"{method}Request")(**fields)
        service = "ImageService" if method.startswith("Image") else "RuntimeService"
        answer = getattr(cri_pb2, f"{method}Response")
        return self._invoke(f"/runtime.v1.{service}/{method}", request, answer, seconds)

    def containerd_get(
        self, kind: str, namespace: str, seconds: float = CALL_SECONDS, /, **fields: Any
    ) -> Any:
        """Get a `Container` or `Image` of one of containerd's namespaces, or raise CriError."""
        request = getattr(containerd_pb2, f"Get{kind}Request")(**fields)
        service = f"containerd.services.{kind.lower()}s.v1.{kind}s"
        answer = getattr(containerd_pb2, f"Get{kind}Response")
        metadata = (("containerd-namespace", namespace),)
        return self._invoke(f"/{service}/Get", request, answer, seconds, metadata)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _invoke(
        self, path: str, request: Any, answer: Any, seconds: float, metadata: tuple[tuple[str, str], ...] = ()
    ) -> Any:
        invoke = self._channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
        )
        try:
            return invoke(request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            raise CriError(path, error.code().name, error.details() or "") from error
