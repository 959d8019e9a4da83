#include "textflag.h"

TEXT ·mappable_the_host_passes_longer_lists_than_there_is_room_for_so_call_ReserveLists_in_init(SB), NOSPLIT, $0-0
	UNDEF

TEXT ·mappable_the_adapter_of_WASI_needs_more_room_than_this_package_has(SB), NOSPLIT, $0-0
	UNDEF
