"""The rule language, read off the tree one node at a time: what the generated code is compared with."""

from keelwatch.detect import ast
from keelwatch.detect.operators import passes
from keelwatch.model.event import Event


def holds(node: ast.Node, event: Event) -> bool:
    match node:
        case ast.Truth(value):
            return value
        case ast.Not(item):
            return not holds(item, event)
        case ast.And(items):
            return all(holds(item, event) for item in items)
        case ast.Or(items):
            return any(holds(item, event) for item in items)
        case ast.Test(field, argument, operator, constants):
            return passes(operator, field.value(event, argument), constants)
    raise TypeError(node)
