package render

import "slices"

// Images returns the images that the releases' containers have, sorted.
func Images(releases []*Release) []string {
	var images []string
	for _, r := range releases {
		for _, o := range r.Objects {
			images = append(images, imagesOf(o.Object)...)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// imagesOf finds containers wherever they lie in an object: a pod's template is somewhere else in each kind.
func imagesOf(v any) (images []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			list, ok := inner.([]any)
			if !ok || key != "containers" && key != "initContainers" {
				images = append(images, imagesOf(inner)...)
				continue
			}
			for _, c := range list {
				c, _ := c.(map[string]any)
				if image, _ := c["image"].(string); image != "" {
					images = append(images, image)
				}
			}
		}
	case []any:
		for _, inner := range v {
			images = append(images, imagesOf(inner)...)
		}
	}
	return images
}
