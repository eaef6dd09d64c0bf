"""``block`` whose ``block.super`` may read rows: what stands above it is rendered as the page is, asynchronously."""

from __future__ import annotations

from typing import TextIO

from liquid import RenderContext
from liquid.extra.tags.extends_tag import BlockDrop, BlockNode, BlockTag
from markupsafe import Markup


class Super(BlockDrop):
    """``block``, with ``super``."""

    async def __getitem_async__(self, name: str) -> object:
        if name != "super" or self.parent is None:
            return self[name]
        buffer = self.context.get_buffer(self.buffer)
        above = Super(
            token=self.parent.token,
            context=self.context,
            buffer=buffer,
            name=self.parent.source_name,
            parent=self.parent.parent,
        )
        with self.context.extend({"block": above}):
            await self.parent.block.block.render_async(self.context, buffer)
        return Markup(buffer.getvalue())  # noqa: S704 - values were escaped


class SuperNode(BlockNode):
    """A block in whose place stands the one of the template that extends."""

    async def render_to_output_async(self, context: RenderContext, buffer: TextIO) -> int:
        stack = context.tag_namespace["extends"].get(self.name)
        if not stack or stack[0].required:
            return await super().render_to_output_async(context, buffer)
        item = stack[0]
        drop = Super(token=self.token, context=context, buffer=buffer, name=self.name, parent=item.parent)
        inside = context.copy(namespace={"block": drop}, carry_loop_iterations=True, block_scope=True)
        count: int = await item.block.block.render_async(inside, buffer)
        return count


class SuperTag(BlockTag):
    """``block``."""

    node_class = SuperNode
