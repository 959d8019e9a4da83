// A stage on bindings that wit-bindgen has made (bindings/, by `wit-bindgen c` 0.61.1 for the world mappable:stage/stage), whose
// handles it passes to mappable.h and back. Complements a picture's bytes.
#include "bindings/stage.h"

#include <mappable.h>

bool exports_mappable_stage_step_run(exports_mappable_stage_step_own_mappable_t handle, exports_mappable_stage_step_header_t *header,
                                     stage_list_string_t *args, exports_mappable_stage_step_tuple2_own_mappable_header_t *made,
                                     stage_string_t *why) {
    stage_list_string_free(args);
    mappable_t region = MAPPABLE_TAKE_OWN(handle);
    // In pieces by read and write, and all by a mapping.
    uint8_t first = 0;
    mappable_error_t error = mappable_read(region, 0, &first, 1);
    mappable_mapped_t bytes;
    if (error == MAPPABLE_OK) error = mappable_map(&region, &bytes);
    if (error != MAPPABLE_OK || bytes.bytes[0] != first) {
        mappable_drop(&region);
        stage_string_dup(why, mappable_error_text(error));
        return false;
    }
    for (size_t at = 0; at < header->size; at++) bytes.bytes[at] = (uint8_t)~bytes.bytes[at];
    region = mappable_unmap(&bytes);
    made->f0 = MAPPABLE_GIVE_OWN(&region);
    made->f1 = *header;
    return true;
}
