// Shows by a fade that a row goes on beyond its edge.

/** @param {HTMLElement} row that scrolls sideways */
export function fadeEdges(row) {
  row.classList.add("fades")
  const look = () => {
    const { scrollLeft, clientWidth, scrollWidth } = row
    // The room that the row leaves at its ends is not worth a fade.
    const { paddingLeft, paddingRight } = getComputedStyle(row)
    row.classList.toggle("more-before", scrollLeft > Number.parseFloat(paddingLeft) + 1)
    row.classList.toggle("more-after", scrollLeft + clientWidth < scrollWidth - Number.parseFloat(paddingRight) - 1)
  }
  row.addEventListener("scroll", look, { passive: true })
  const sizes = new ResizeObserver(look)
  const watch = () => { for (const one of [row, ...row.children]) sizes.observe(one) }
  new MutationObserver(watch).observe(row, { childList: true })
  watch()
}
