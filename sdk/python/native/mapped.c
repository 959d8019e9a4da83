// The module mappable._mapped: maps regions over blocks of Python's own heap, and shows them through the buffer protocol. So
// memoryview(mapping) is the region itself, and a mapping is not unmapped while a memoryview of it is left.
//
// Handles come in and go out as numbers. mappable/_handles.py takes them out of componentize-py's objects and makes such objects.

#include "imports.h"
#include "placement.h"
#include "python.h"

#include <stdbool.h>

// As mappable/_mapped.pyi has them.
enum kind { REGION = 0, FROZEN = 1, PRIVATE = 2 };

// Beside the cases of map-error.
enum { MEMORY_FULL = -1 };

typedef struct {
    PyObject head;
    enum kind kind;
    bool is_mapped;
    handle_t handle;
    void *at;
    size_t size, length;
    // How many buffers show the bytes. A memoryview and what is made of it count as one.
    size_t buffers;
} Mapping;

static PyObject *mapping_type;

static void map_at(enum kind kind, handle_t handle, void *at, uint32_t size, answer_t *answer) {
    switch (kind) {
    case REGION: mappable_map(handle, at, size, answer); break;
    case FROZEN: frozen_map(handle, at, size, answer); break;
    case PRIVATE: frozen_map_private(handle, at, size, answer); break;
    }
}

// Takes the bytes out of the memory. False if the host refused, which then has them mapped still.
static bool unmap_now(Mapping *self, answer_t *answer) {
    // Imports of the component are called by their names: their addresses are not to be had.
    if (self->kind == REGION) mapping_unmap(self->handle, self->at, self->size, answer);
    else frozen_mapping_unmap(self->handle, self->at, self->size, answer);
    // A refusal returns the handle too.
    self->handle = answer->handle;
    if (answer->is_err) return false;
    self->is_mapped = false;
    placement_release(self->at, self->size);
    return true;
}

static int get_buffer(PyObject *object, Py_buffer *view, int flags) {
    Mapping *self = (Mapping *)object;
    if (!self->is_mapped) {
        view->obj = NULL;
        PyErr_SetString(PyExc_BufferError, "the region is not mapped any more");
        return -1;
    }
    int error = PyBuffer_FillInfo(view, object, self->at, (Py_ssize_t)self->length, self->kind == FROZEN, flags);
    if (error == 0) self->buffers++;
    return error;
}

static void release_buffer(PyObject *object, Py_buffer *view) {
    (void)view;
    ((Mapping *)object)->buffers--;
}

static PyObject *unmap(PyObject *object, PyObject *nothing) {
    (void)nothing;
    Mapping *self = (Mapping *)object;
    if (!self->is_mapped || self->buffers > 0) {
        PyErr_SetString(PyExc_BufferError, self->is_mapped ? "there are memoryviews of the mapped region" : "the region is not mapped");
        return NULL;
    }
    answer_t answer;
    if (!unmap_now(self, &answer)) return Py_BuildValue("iI", (int)answer.error, (unsigned)answer.handle);
    return Py_BuildValue("I", (unsigned)answer.handle);
}

// Frees the region, too. Dropping the mapping's handle alone would leave the region at the placement until the next change.
static void dealloc(PyObject *object) {
    Mapping *self = (Mapping *)object;
    if (self->is_mapped) {
        answer_t answer;
        bool is_unmapped = unmap_now(self, &answer);
        if (self->kind == REGION) {
            if (is_unmapped) mappable_drop(answer.handle);
            else mapping_drop(answer.handle);
        } else if (is_unmapped) {
            frozen_drop(answer.handle);
        } else {
            frozen_mapping_drop(answer.handle);
        }
    }
    PyObject *type = self->head.type;
    PyObject_Free(self);
    Py_DecRef(type);
}

static PyObject *map(PyObject *module, PyObject *arguments) {
    (void)module;
    int kind;
    unsigned handle;
    Py_ssize_t size, length;
    if (!PyArg_ParseTuple(arguments, "iInn", &kind, &handle, &size, &length)) return NULL;
    Mapping *self = (Mapping *)PyType_GenericAlloc(mapping_type, 0);
    if (self == NULL) return NULL;
    void *at = placement_acquire((size_t)size);
    if (at == NULL) {
        Py_DecRef((PyObject *)self);
        return Py_BuildValue("iI", (int)MEMORY_FULL, handle);
    }
    answer_t answer;
    map_at((enum kind)kind, handle, at, (uint32_t)size, &answer);
    if (answer.is_err) {
        placement_release(at, (size_t)size);
        Py_DecRef((PyObject *)self);
        return Py_BuildValue("iI", (int)answer.error, (unsigned)answer.handle);
    }
    self->kind = (enum kind)kind;
    self->is_mapped = true;
    self->handle = answer.handle;
    self->at = at;
    self->size = (size_t)size;
    self->length = (size_t)length;
    return (PyObject *)self;
}

static PyMethodDef mapping_methods[] = {{"unmap", unmap, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot mapping_slots[] = {
    {Py_bf_getbuffer, get_buffer},
    {Py_bf_releasebuffer, release_buffer},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, mapping_methods},
    {0, NULL},
};
static PyType_Spec mapping_spec = {
    "mappable._mapped.Mapping", sizeof(Mapping), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, mapping_slots,
};
static PyMethodDef functions[] = {{"map", map, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyModuleDef definition = {.head = {1, NULL}, .name = "_mapped", .size = -1, .methods = functions};

__attribute__((visibility("default"))) PyObject *PyInit__mapped(void) {
    mapping_type = PyType_FromSpec(&mapping_spec);
    if (mapping_type == NULL) return NULL;
    return PyModule_Create2(&definition, PYTHON_ABI_VERSION);
}

// Goes with the module into the component: the types of the imports.
__asm__(".section \".custom_section.component-type:mappable-python\",\"\",@\n"
        ".incbin \"component-type.bin\"\n");
