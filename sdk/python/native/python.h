// The part of CPython's stable ABI that the extension uses, for wasm32. CPython's own headers are configured for the machine that
// they are installed on, and there is no package of those for WebAssembly. The stable ABI doesn't change between versions:
// https://docs.python.org/3/c-api/stable.html
#ifndef MAPPABLE_PYTHON_H
#define MAPPABLE_PYTHON_H

#include <stddef.h>
#include <stdint.h>

typedef intptr_t Py_ssize_t;

typedef struct {
    Py_ssize_t refcnt;
    void *type;
} PyObject;

typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);

typedef struct {
    const char *name;
    PyCFunction function;
    int flags;
    const char *doc;
} PyMethodDef;

typedef struct {
    PyObject head;
    PyObject *(*init)(void);
    Py_ssize_t index;
    PyObject *copy;
    const char *name;
    const char *doc;
    Py_ssize_t size;
    PyMethodDef *methods;
    void *slots, *traverse, *clear, *free;
} PyModuleDef;

typedef struct {
    int slot;
    void *function;
} PyType_Slot;

typedef struct {
    const char *name;
    int basicsize, itemsize;
    unsigned flags;
    PyType_Slot *slots;
} PyType_Spec;

typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len, itemsize;
    int readonly, ndim;
    char *format;
    Py_ssize_t *shape, *strides, *suboffsets;
    void *internal;
} Py_buffer;

_Static_assert(sizeof(PyObject) == 8 && sizeof(Py_buffer) == 44, "as CPython has them on wasm32");

enum { METH_VARARGS = 1, METH_NOARGS = 4 };
enum { Py_bf_getbuffer = 1, Py_bf_releasebuffer = 2, Py_tp_dealloc = 52, Py_tp_methods = 64 };
enum { Py_TPFLAGS_DISALLOW_INSTANTIATION = 1 << 7, Py_TPFLAGS_DEFAULT = 1 << 18, PYTHON_ABI_VERSION = 3 };

PyObject *PyModule_Create2(PyModuleDef *, int abi_version);
PyObject *PyType_FromSpec(PyType_Spec *);
PyObject *PyType_GenericAlloc(void *type, Py_ssize_t items);
void PyObject_Free(void *);
void Py_DecRef(PyObject *);
int PyArg_ParseTuple(PyObject *, const char *, ...);
PyObject *Py_BuildValue(const char *, ...);
int PyBuffer_FillInfo(Py_buffer *, PyObject *exporter, void *, Py_ssize_t, int readonly, int flags);
void PyErr_SetString(PyObject *type, const char *);
extern PyObject *PyExc_BufferError;

#endif
