"""What the recordings of tokenizers share."""


def merges_by_score(vocabulary, skipped):
    """What a conversion from SentencePiece yields, whose files hold scores (here: minus the id) and no merges."""
    pieces = {token: index for token, index in vocabulary.items() if token not in skipped}
    merges = [(token[:at], token[at:]) for token in pieces for at in range(1, len(token)) if token[:at] in pieces and token[at:] in pieces]
    return sorted(merges, key=lambda pair: (pieces[pair[0] + pair[1]], -len(pair[0])))


def record(tokenizer, texts):
    cases = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    return cases
