package swarm

import (
	"slices"
	"strings"

	"sluice/crdt/service"
)

// ownLabels are for the watcher itself.
var ownLabels = []string{"notify", labelShortName, labelScrapeNetwork}

// unknown are the labels that mean nothing, each with what may have been meant, sorted.
func unknown(labels map[string]string, notify string) []string {
	var list []string
	for label := range labels {
		name, ours := strings.CutPrefix(label, paramPrefix)
		if !ours || label == notify || slices.Contains(ownLabels, name) || service.IsParameter(name) {
			continue
		}
		if near, ok := service.Similar(name, ownLabels...); ok {
			label += " (" + paramPrefix + near + "?)"
		}
		list = append(list, label)
	}
	slices.Sort(list)
	return list
}
