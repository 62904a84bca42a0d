/// A binary heap: elements by their priority, the least first; of equal ones the one with the lower order.
struct PriorityQueue<Element> {
    private var heap: [(priority: Double, order: Int, element: Element)] = []

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].priority, heap[a].order) < (heap[b].priority, heap[b].order)
    }

    mutating func push(_ element: Element, _ priority: Double, order: Int) {
        heap.append((priority, order, element))
        var place = heap.count - 1
        while place > 0, isBefore(place, (place - 1) / 2) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// Removes the element with the least priority; nil if there is none.
    mutating func popLeast() -> (priority: Double, element: Element)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            var place = 0
            while true {
                var least = place
                for child in [2 * place + 1, 2 * place + 2] where child < heap.count && isBefore(child, least) {
                    least = child
                }
                if least == place { break }
                heap.swapAt(least, place)
                place = least
            }
        }
        return (first.priority, first.element)
    }
}
