#!/usr/bin/env python3
"""Documents and queries for scripts/bench-lucene.sh, one base64 text a line.

usage: generate.py VECTORS COUNT DOCUMENTS QUERIES

Documents are the lines of the vectors over and over, with digits of most lines replaced, so that the dictionary grows with
them as that of terminal text does. Queries are all of the vectors that are not errors. The same arguments give the same files.
"""
import base64
import json
import random
import re
import sys

vectors, count, documents, queries = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
dice = random.Random(8)


def lines(name):
    return [json.loads(line) for line in open(f"{vectors}/{name}", encoding="utf-8")]


def write(file, texts):
    with open(file, "w", encoding="ascii") as out:
        for text in texts:
            out.write(base64.b64encode(text.encode()).decode() + "\n")


texts = [line["text"] for line in lines("docs.jsonl")]
digit = re.compile(r"[0-9]")


def document(number):
    text = texts[number % len(texts)] if number < len(texts) else dice.choice(texts)
    return text if number < len(texts) or dice.random() < 0.3 else digit.sub(lambda _: str(dice.randrange(10)), text)


refused = {line["id"] for line in lines("expected.jsonl") if "error" in line}
write(documents, (document(number) for number in range(count)))
write(queries, (line["query"] for line in lines("queries.jsonl") if line["id"] not in refused))
