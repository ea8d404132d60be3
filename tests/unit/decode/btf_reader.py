"""Reads struct and enum layouts from the BTF of an ELF object (Documentation/bpf/btf.rst)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

INT, POINTER, ARRAY, STRUCT, UNION, ENUM = 1, 2, 3, 4, 5, 6
FORWARD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC = 7, 8, 9, 10, 11, 12
PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = 13, 14, 15, 16, 17, 18, 19
ALIASES = {TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG}
EXTRA = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
EXTRA_EACH = {STRUCT: 12, UNION: 12, ENUM: 8, PROTO: 8, DATASEC: 12, ENUM64: 12}


@dataclass(frozen=True)
class Field:
    """One plain number or byte array of a flattened struct."""

    name: str
    offset: int
    size: int
    signed: bool
    text: bool


@dataclass(frozen=True)
class Type:
    name: str
    kind: int
    vlen: int
    size_or_type: int
    extra: bytes


class Btf:
    """The types of one object."""

    def __init__(self, path: Path) -> None:
        raw = _section(path.read_bytes(), b".BTF")
        magic, _, _, header, type_at, type_size, name_at, name_size = struct.unpack_from("<HBBIIIII", raw)
        assert magic == 0xEB9F
        self.names = raw[header + name_at : header + name_at + name_size]
        self.types = [Type("void", 0, 0, 0, b"")]
        self._read(raw[header + type_at : header + type_at + type_size])

    def _read(self, raw: bytes) -> None:
        at = 0
        while at < len(raw):
            name, info, size_or_type = struct.unpack_from("<III", raw, at)
            kind, vlen = info >> 24 & 0x1F, info & 0xFFFF
            extra = EXTRA.get(kind, EXTRA_EACH.get(kind, 0) * vlen)
            at += 12
            self.types.append(Type(self._name(name), kind, vlen, size_or_type, raw[at : at + extra]))
            at += extra

    def _name(self, offset: int) -> str:
        return self.names[offset : self.names.index(b"\0", offset)].decode()

    def find(self, name: str, kind: int) -> Type:
        return next(t for t in self.types if t.kind == kind and t.name == name)

    def enum(self, name: str) -> dict[str, int]:
        """The enumerators of `enum name`, in order."""
        found = self.find(name, ENUM)
        pairs = struct.iter_unpack("<Ii", found.extra)
        return {self._name(label): value for label, value in pairs}

    def size(self, name: str) -> int:
        return self.find(name, STRUCT).size_or_type

    def fields(self, name: str) -> list[Field]:
        """The members of `struct name`, nested structs and arrays of numbers flattened."""
        return self._flatten(self.find(name, STRUCT), "", 0)

    def _flatten(self, type_: Type, name: str, offset: int) -> list[Field]:
        while type_.kind in ALIASES:
            type_ = self.types[type_.size_or_type]
        if type_.kind == INT:
            encoding = struct.unpack("<I", type_.extra)[0] >> 24
            return [Field(name, offset, type_.size_or_type, bool(encoding & 1), False)]
        if type_.kind == ARRAY:
            return self._flatten_array(type_, name, offset)
        assert type_.kind == STRUCT, f"{name} has a kind that a wire struct must not have"
        found = []
        for label, member, bits in struct.iter_unpack("<III", type_.extra):
            part = f"{name}.{self._name(label)}".lstrip(".")
            found += self._flatten(self.types[member], part, offset + bits // 8)
        return found

    def _flatten_array(self, type_: Type, name: str, offset: int) -> list[Field]:
        element, _, count = struct.unpack("<III", type_.extra)
        each = self._flatten(self.types[element], name, offset)
        if each[0].size == 1:
            return [Field(name, offset, count, False, True)]
        return [
            Field(f"{name}[{i}]", offset + i * each[0].size, each[0].size, each[0].signed, False)
            for i in range(count)
        ]


def _section(elf: bytes, wanted: bytes) -> bytes:
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
    strings = headers[names][4]
    for name, _, _, _, at, length in headers:
        end = elf.index(b"\0", strings + name)
        if elf[strings + name : end] == wanted:
            return elf[at : at + length]
    raise LookupError(f"no section {wanted.decode()}")
