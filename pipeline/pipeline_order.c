#include "pipeline/pipeline_order.h"

#include <stdlib.h>
#include <string.h>

/* Tells the cycle that a step is in: "a -> b -> a". */
static void tell_cycle(const struct np_pipeline *pipeline, size_t first, struct np_step_draft *drafts,
                       struct np_mistakes *mistakes)
{
    char path[600] = "";
    size_t at = first;

    do {
        drafts[at].lost = true;
        snprintf(path + strlen(path), sizeof path - strlen(path), "%s <- ", pipeline->steps[at].name);
        at = (size_t)pipeline->steps[at].parent;
    } while (at != first);
    np_mistake_add(mistakes, np_node_get(pipeline->steps[first].node, "input"),
                   "steps read each other in a circle: %s%s; allowed: a chain that begins at an input", path,
                   pipeline->steps[first].name);
}

static bool is_in_cycle(const struct np_pipeline *pipeline, size_t first)
{
    int at = pipeline->steps[first].parent;

    for (size_t n = 0; at >= 0 && n <= pipeline->n_steps; n++) {
        if ((size_t)at == first)
            return true;
        at = pipeline->steps[at].parent;
    }
    return false;
}

bool np_steps_sort(struct np_pipeline *pipeline, struct np_step_draft *drafts, struct np_mistakes *mistakes)
{
    size_t n = pipeline->n_steps, done = 0;
    struct np_step *steps = calloc(n + 1, sizeof *steps);
    struct np_step_draft *sorted = calloc(n + 1, sizeof *sorted);
    int *place = calloc(n + 1, sizeof *place);
    bool progress = true, ok = steps && sorted && place;

    if (!ok)
        mistakes->out_of_memory = true;
    while (ok && progress) {
        progress = false;
        for (size_t i = 0; i < n && !progress; i++) {
            int parent = pipeline->steps[i].parent;

            if (drafts[i].placed || drafts[i].lost || (parent >= 0 && !drafts[parent].placed))
                continue;
            drafts[i].placed = progress = true;
            place[i] = (int)done;
            steps[done] = pipeline->steps[i];
            sorted[done] = drafts[i];
            if (parent >= 0)
                steps[done].parent = place[parent];
            done++;
        }
    }
    for (size_t i = 0; ok && i < n; i++)
        if (!drafts[i].placed && !drafts[i].lost && is_in_cycle(pipeline, i))
            tell_cycle(pipeline, i, drafts, mistakes);
    for (size_t i = 0; ok && i < n; i++) {
        if (drafts[i].placed)
            continue;
        steps[done] = pipeline->steps[i];
        steps[done].parent = -1;
        steps[done].input = -1;
        sorted[done] = drafts[i];
        sorted[done++].lost = true;
    }
    if (ok) {
        memcpy(drafts, sorted, n * sizeof *drafts);
        free(pipeline->steps);
        pipeline->steps = steps;
        steps = NULL;
    }
    free(steps);
    free(sorted);
    free(place);
    return ok;
}
