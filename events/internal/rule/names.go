package rule

// names are in the order of the constants.
func names() []string {
	return []string{
		"FoldNoFuture", "FoldNoExpiry", "TightF", "TieKeepsFirst", "RefRaw", "RawNoPlus", "CollectEarly",
		"GenExpiry", "GenTwice", "GenOnlyAtZero", "GenForgetsEarlier", "GenNoRef", "SeedAny", "GenNoTomb", "BlankSeed",
		"DropLE", "DurableWins", "NoSweep", "NoFoldDrop", "NoP",
		"NoVisPlus", "NoClockPlus", "AckActs", "OwnerOnly", "NewestExpiry", "LocalExpiry", "LocalCollect",
		"AdmitFuture", "NoAE", "NoDExch", "AdoptAnySid", "MergeD", "AdoptNoReoffer", "NoReofferD", "NoReofferTomb",
		"NoAnchor", "AnchorNoTime", "NoLast", "NoSid", "CkptNoAnchor", "ResumeGap", "NoAudit", "AuditNoPoint",
	}
}

// String is the constant's name.
func (b Broken) String() string {
	if int(b) >= len(names()) {
		return "unknown"
	}
	return names()[b]
}
