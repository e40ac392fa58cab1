// Shows by a fade that a row goes on beyond its edge.

/** @param {HTMLElement} row that scrolls sideways */
export function fadeEdges(row) {
  row.classList.add("fades")
  const look = () => {
    const { scrollLeft, clientWidth, scrollWidth } = row
    row.classList.toggle("more-before", scrollLeft > 1)
    row.classList.toggle("more-after", scrollLeft + clientWidth < scrollWidth - 1)
  }
  row.addEventListener("scroll", look, { passive: true })
  new ResizeObserver(look).observe(row)
  new MutationObserver(look).observe(row, { childList: true })
  look()
}
