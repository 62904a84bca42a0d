/// The style of a report's page: light and dark, narrow and printed.
enum ReportStyle {
    /// Colors of text have a contrast of at least 4.5 with what is behind them, in both schemes.
    static let text = """
        :root { color-scheme: light dark; --back: #ffffff; --front: #1b1d1f; --soft: #51585e; --line: #c9ced3;
          --link: #0a4bb3; --error: #a3161f; --mark: #0a4bb3; --hit: #8a4b00; --panel: #f4f6f8; --lane: #e7ebef;
          --c0: #d3d8dd; --c1: #3d6fb6; --c2: #c26a16; --c3: #3f8a53; --c4: #8a5bab; --c5: #b0475f; --c6: #7a828a; }
        @media (prefers-color-scheme: dark) { :root { --back: #14171a; --front: #e7e9eb; --soft: #aab2ba;
          --line: #3b424a; --link: #8ab8ff; --error: #ffb0ab; --mark: #8ab8ff; --hit: #f0b266; --panel: #1d2226;
          --lane: #2a3036; --c0: #434b53; --c1: #6d9ee0; --c2: #e0924a; --c3: #6bb780; --c4: #b58ad4; --c5: #dd7a90;
          --c6: #939ba3; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 64rem; padding: 0 1rem 3rem; background: var(--back); color: var(--front);
          font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
        a { color: var(--link); } a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
          outline: 3px solid var(--mark); outline-offset: 2px; }
        .skip { position: absolute; left: -100rem; } .skip:focus { position: static; }
        h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.5rem 0 .5rem; } h2 { font-size: 1.3rem; margin: 2rem 0 .5rem;
          border-bottom: 1px solid var(--line); } h3 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
        h4 { font-size: 1rem; margin: 1rem 0 .25rem; } p, ul, ol, dl { margin: .25rem 0 .5rem; }
        nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
        .caution, .note, .question, .more, .day, .score, .state { color: var(--soft); } .error { color: var(--error); }
        .day, .score { font-size: .875rem; } .times { font-variant-numeric: tabular-nums; }
        article { border: 1px solid var(--line); border-radius: .5rem; padding: 0 1rem 1rem; margin: 1rem 0; }
        .facts { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; } .facts dt { color: var(--soft); font-size: .875rem; }
        .facts dd { margin: 0; }
        .timeline { background: var(--panel); border-radius: .5rem; padding: .5rem .75rem; margin: .75rem 0; }
        .lane { display: grid; grid-template-columns: 8rem 1fr; gap: .75rem; align-items: center; margin: .25rem 0; }
        .lane a { font-size: .875rem; } .bar { display: block; width: 100%; height: 1.5rem; background: var(--lane); }
        .e { fill: var(--mark); } .search .e { fill: var(--hit); } .n { fill: var(--c6); }
        .c0 { fill: var(--c0); background: var(--c0); } .c1 { fill: var(--c1); background: var(--c1); }
        .c2 { fill: var(--c2); background: var(--c2); } .c3 { fill: var(--c3); background: var(--c3); }
        .c4 { fill: var(--c4); background: var(--c4); } .c5 { fill: var(--c5); background: var(--c5); }
        .c6 { fill: var(--c6); background: var(--c6); }
        .axis { position: relative; height: 1.25rem; margin-left: 8.75rem; color: var(--soft); font-size: .75rem; }
        .tick { position: absolute; transform: translateX(-50%); white-space: nowrap; font-variant-numeric: tabular-nums; }
        .tick.first { transform: none; } .tick.last { transform: translateX(-100%); }
        .answer { font-weight: 600; white-space: pre-line; } .missing { font-weight: 400; color: var(--soft); }
        .evidence { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .75rem; }
        figure { margin: 0; width: 15rem; max-width: 100%; } figure img { display: block; width: 100%; height: auto; }
        figcaption { font-size: .875rem; } .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap;
          gap: .25rem 1.25rem; } .swatch { display: inline-block; width: .875rem; height: .875rem; margin-right: .375rem;
          vertical-align: -.0625rem; }
        summary { cursor: pointer; } .table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
        th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-top: 1px solid var(--line);
          overflow-wrap: normal; } tbody th { font-weight: 400; white-space: nowrap; font-variant-numeric: tabular-nums; }
        @media (max-width: 40rem) { body { padding: 0 .75rem 2rem; } article { padding: 0 .75rem .75rem; }
          .lane { grid-template-columns: 1fr; gap: .125rem; } .axis { margin-left: 0; } .tick:nth-child(even) { display: none; } figure { width: 100%; } }
        @media print { :root { color-scheme: light; --back: #ffffff; --front: #000000; --soft: #444444; --link: #000000; }
          nav, .skip { display: none; } body { max-width: none; padding: 0; font-size: 10pt; } .bar, .swatch {
          print-color-adjust: exact; } figure { width: 6cm; } article { border: 0; padding: 0; } figure, .timeline, tr, li {
          break-inside: avoid; } h2, h3, h4 { break-after: avoid; } .table { overflow: visible; }
          details::details-content { content-visibility: visible; block-size: auto; } }
        """
}
