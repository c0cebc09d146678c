package cloakroom;

import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.*;
import java.lang.reflect.*;
import java.math.BigInteger;
import java.util.*;
import java.util.function.Consumer;
import static java.util.stream.Collectors.joining;

/**
 * HttpSession behind cloakroom: its attributes come in X-Session, and are sent back in X-Session-Save if they have
 * changed. A filter that needs no cookie and no key. For javax.servlet, replace jakarta above with javax.
 */
public class CloakroomFilter implements Filter {
    private static final String HERE = CloakroomFilter.class.getName();
    // Our own keys: an id, created when the app first asks for one; the names of attributes that are Long although an Integer would do; CloakroomValve's user.
    private static final String ID = "_session_id", LONGS = "_java_long", USER = "_java_user";
    private static final String LATE = "session: the headers were already sent; change the session earlier, or raise the filter's buffer";
    private final Set<Object> listeners = new LinkedHashSet<>(); private ServletContext context; private String prefix; private int buffer;

    /** `header`: the prefix of the headers' names; `buffer`: how many bytes of an answer wait for a late change of the session. */
    @Override public void init(FilterConfig config) {
        context = config.getServletContext();
        prefix = config.getInitParameter("header") == null ? "X-Session" : config.getInitParameter("header");
        buffer = config.getInitParameter("buffer") == null ? 65536 : Integer.parseInt(config.getInitParameter("buffer"));
        try { // The servlet API does not say who listens. Tomcat does, behind two fields:
            Object inner = context;
            for (int step = 0; step < 2; step++) {
                Field field = inner.getClass().getDeclaredField("context");
                field.setAccessible(true);
                inner = field.get(inner);
            }
            for (String kind : new String[] {"getApplicationLifecycleListeners", "getApplicationEventListeners"})
                listeners.addAll(Arrays.asList((Object[]) inner.getClass().getMethod(kind).invoke(inner)));
        } catch (ReflectiveOperationException | RuntimeException other) { context.log("cloakroom: this is not Tomcat: listeners of sessions are told nothing"); }
    }
    static String unshared(Collection<String> said) { return (String.join(", ", said).replaceAll("(?i),? *\\b(public|private)\\b(?!=)", "") + ", private").replaceAll("^[, ]+", ""); }
    private <L> void tell(Class<L> kind, Consumer<L> what) { listeners.stream().filter(kind::isInstance).map(kind::cast).forEach(what); }
    private static Object proxy(Class<?> kind, InvocationHandler does) { return Proxy.newProxyInstance(CloakroomFilter.class.getClassLoader(), new Class<?>[] {kind}, does); }

    @Override public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
        Visit visit = (Visit) request.getAttribute(HERE); // exists already when the container shows an error page
        if (visit == null) {
            List<String> sent = Collections.list(((HttpServletRequest) request).getHeaders(prefix));
            try { visit = new Visit((HttpServletRequest) request, (HttpServletResponse) response, sent.isEmpty() ? null : String.join(",", sent)); }
            catch (RuntimeException broken) { throw new ServletException(prefix + " cannot be read: it is not a JSON object"); } // the cause would quote the session
            request.setAttribute(HERE, visit);
            if (response.getBufferSize() < buffer) response.setBufferSize(buffer);
        }
        boolean inside = new ServletRequestWrapper(request).isWrapperFor(visit); // a dispatched request may wrap ours
        if (!inside) { visit.setRequest(request); visit.answer.setResponse(response); }
        try { chain.doFilter(inside ? request : visit, inside ? response : visit.answer); } finally { if (!request.isAsyncStarted()) visit.settle(); }
    }

    /** A request with its session, until the head of the answer. */
    private final class Visit extends HttpServletRequestWrapper {
        final Map<String, String> raws = new LinkedHashMap<>(), jsons = new HashMap<>();
        final String text; final Answer answer; final long arrived = System.currentTimeMillis();
        Map<String, String> said = new LinkedHashMap<>();
        Session session; boolean ended, renewed; Integer lasts;
        Visit(HttpServletRequest request, HttpServletResponse response, String text) {
            super(request);
            this.text = text; answer = new Answer(response, this);
            Map<?, ?> values = text == null ? Collections.emptyMap() : new Json(text).members(raws);
            values.forEach((name, value) -> jsons.put((String) name, Json.write(value, null, 1)));
            if (!values.isEmpty()) session = new Session(values, false);
        }
        @Override public HttpSession getSession() { return getSession(true); }
        @Override public HttpSession getSession(boolean create) {
            if (text == null) throw new IllegalStateException(prefix + " is missing: this request did not come through cloakroom, or its route has no session; let only cloakroom reach the app");
            if (session != null || !create) return session == null ? null : session.face;
            if (answer.isCommitted()) throw new IllegalStateException(LATE);
            session = new Session(Collections.emptyMap(), true);
            tell(HttpSessionListener.class, each -> each.sessionCreated(session.event()));
            return session.face;
        }
        @Override public String changeSessionId() {
            if (getSession(false) == null) throw new IllegalStateException("session: there is no session");
            String old = session.getId(); session.change(() -> { session.id = UUID.randomUUID().toString(); renewed = true; });
            tell(HttpSessionIdListener.class, each -> each.sessionIdChanged(session.event(), old));
            return session.id;
        }
        @Override public String getRequestedSessionId() { return null; } // so that apps do not take an old JSESSIONID for an expired session
        @Override public boolean isRequestedSessionIdValid() { return !raws.isEmpty(); }
        @Override public AsyncContext startAsync() { return startAsync(this, answer); }
        @Override public AsyncContext startAsync(ServletRequest one, ServletResponse other) {
            answer.settle(true); // from here on each change is sent at once; a change that was not sent is an error at the end
            AsyncContext async = super.startAsync(one, other);
            async.addListener((AsyncListener) proxy(AsyncListener.class, (proxy, method, given) -> { if (method.getName().equals("onComplete")) settle(); return null; }));
            return async;
        }
        /** What to tell the sidecar: the rest of each header's name, and its value. */
        private Map<String, String> headers() {
            Map<String, String> now = new LinkedHashMap<>(), headers = new LinkedHashMap<>(); List<String> longs = new ArrayList<>();
            if (session != null) session.values.forEach((name, value) -> {
                now.put(name, Json.write(value, null, 1).equals(jsons.get(name)) ? raws.get(name) : Json.write(value, name, 1)); // unchanged values are saved exactly as they came
                if (value instanceof Long && ((Long) value).intValue() == (Long) value) longs.add(name);
            });
            if (!longs.isEmpty()) now.put(LONGS, Json.write(longs, LONGS, 1));
            if (!ended && raws.containsKey(USER)) now.put(USER, raws.get(USER));
            if (!now.isEmpty() && session.id != null) now.put(ID, Json.write(session.id, ID, 1)); // an id alone does not create a session
            if (now.isEmpty()) { if (ended || !raws.isEmpty()) headers.put("Delete", "1"); }
            else if (renewed || lasts != null || !now.equals(raws)) {
                headers.put("Save", now.entrySet().stream().map(each -> Json.write(each.getKey(), "", 1) + ":" + each.getValue()).collect(joining(",", "{", "}")));
                if (renewed) headers.put("Renew", "1"); // a new one ends with the browser, like the container's own; an interval of 0 has no end
                if (lasts != null || renewed || raws.isEmpty()) headers.put("Max-Age", String.valueOf(lasts == null ? 0 : lasts > 0 ? lasts : 34560000));
            }
            return headers;
        }
        /** Sets the headers, before the head of the answer is sent. They may be set again; the last ones count. */
        void settle() {
            Map<String, String> now = headers(); if (now.equals(said)) return;
            if (answer.isCommitted()) throw new IllegalStateException(LATE + ": what has changed is not saved");
            for (String name : said.keySet()) if (!now.containsKey(name)) answer.setHeader(prefix + "-" + name, name.equals("Save") ? text : "0");
            answer.setHeader("Cache-Control", unshared(answer.getHeaders("Cache-Control"))); // a cache before the sidecar does not know these headers
            now.forEach((name, value) -> answer.setHeader(prefix + "-" + name, value)); said = now;
        }
        /** The methods of HttpSession, called by a proxy, because they differ between javax and jakarta. */
        public final class Session implements InvocationHandler {
            final HttpSession face = (HttpSession) proxy(HttpSession.class, this);
            final Map<String, Object> values = new LinkedHashMap<>();
            final boolean fresh; boolean valid = true; String id;
            Session(Map<?, ?> members, boolean fresh) {
                this.fresh = fresh; List<?> longs = members.get(LONGS) instanceof List ? (List<?>) members.get(LONGS) : Collections.emptyList();
                members.forEach((name, value) -> values.put((String) name, value instanceof Integer && longs.contains(name) ? Long.valueOf((Integer) value) : value));
                values.remove(LONGS); values.remove(USER); id = (String) values.remove(ID);
            }
            @Override public Object invoke(Object proxy, Method method, Object[] given) throws Throwable {
                if (method.getName().equals("equals")) return given[0] == proxy;
                String name = method.getName().replace("putValue", "setAttribute").replaceAll("Value$", "Attribute"); // their old names
                try { return Session.class.getMethod(name, method.getParameterTypes()).invoke(this, given); }
                catch (InvocationTargetException thrown) { throw thrown.getCause(); }
            }
            Session valid() { if (valid) return this; throw new IllegalStateException("session: it was invalidated"); } HttpSessionEvent event() { return new HttpSessionEvent(face); }
            void change(Runnable what) {
                if (valid() != null && answer.isCommitted()) throw new IllegalStateException(LATE);
                what.run();
                if (answer.opened) settle();
            }
            public void setAttribute(String name, Object value) {
                if (value == null) { removeAttribute(name); return; }
                if (Arrays.asList(ID, LONGS, USER).contains(name)) throw new IllegalArgumentException("session: " + name + " is reserved; use another name");
                Json.write(value, name, 1); boolean there = valid().values.containsKey(name);
                HttpSessionBindingEvent event = new HttpSessionBindingEvent(face, name, there ? values.get(name) : value);
                change(() -> values.put(name, value));
                tell(HttpSessionAttributeListener.class, each -> { if (there) each.attributeReplaced(event); else each.attributeAdded(event); });
            }
            public void removeAttribute(String name) {
                if (!valid().values.containsKey(name)) return;
                HttpSessionBindingEvent event = new HttpSessionBindingEvent(face, name, values.get(name));
                change(() -> values.remove(name));
                tell(HttpSessionAttributeListener.class, each -> each.attributeRemoved(event));
            }
            public void invalidate() {
                valid(); tell(HttpSessionListener.class, each -> each.sessionDestroyed(event()));
                new ArrayList<>(values.keySet()).forEach(this::removeAttribute);
                change(() -> { valid = false; session = null; ended = renewed = true; lasts = null; });
                HttpSession own = ((HttpServletRequest) getRequest()).getSession(false); if (own != null) own.invalidate(); // the container's session, with its user
            }
            public String getId() {
                if (id == null && answer.isCommitted()) return UUID.randomUUID().toString(); // an access log asks too late: this id is not saved
                if (id == null) change(() -> id = UUID.randomUUID().toString());
                return id;
            }
            public String[] getValueNames() { return valid().values.keySet().toArray(new String[0]); }
            public Object getAttribute(String name) { return valid().values.get(name); }
            public Enumeration<String> getAttributeNames() { return Collections.enumeration(new ArrayList<>(valid().values.keySet())); }
            public void setMaxInactiveInterval(int seconds) { change(() -> lasts = seconds); }
            public int getMaxInactiveInterval() { return lasts != null ? lasts : context.getSessionTimeout() * 60; }
            public long getCreationTime() { valid(); return arrived; }
            public long getLastAccessedTime() { return getCreationTime(); }
            public boolean isNew() { return valid().fresh; }
            public ServletContext getServletContext() { return context; }
        }
    }

    /** Notices when the head of the answer is about to be sent; after the first output each change is sent at once. */
    private static final class Answer extends HttpServletResponseWrapper {
        final Visit visit; boolean opened;
        Answer(HttpServletResponse response, Visit visit) { super(response); this.visit = visit; }
        void settle(boolean open) { opened |= open; if (!isCommitted()) visit.settle(); }
        @Override public PrintWriter getWriter() throws IOException { settle(true); return super.getWriter(); }
        @Override public ServletOutputStream getOutputStream() throws IOException { settle(true); return super.getOutputStream(); }
        @Override public void flushBuffer() throws IOException { settle(false); super.flushBuffer(); }
        @Override public void sendError(int status) throws IOException { settle(false); super.sendError(status); }
        @Override public void sendError(int status, String text) throws IOException { settle(false); super.sendError(status, text); }
        @Override public void sendRedirect(String there) throws IOException { settle(false); super.sendRedirect(there); }
        @Override public void reset() { super.reset(); visit.said = new LinkedHashMap<>(); opened = false; }
    }

    /** JSON, with integers of any length; errors name the key of a value that JSON cannot hold. */
    static final class Json {
        private final String text; private int at; Json(String text) { this.text = text; }
        Map<?, ?> members(Map<String, String> raws) {
            Object all = value(1, raws); if (peek() == 0 && all instanceof Map) return (Map<?, ?>) all; else throw broken();
        }
        private IllegalArgumentException broken() { return new IllegalArgumentException("no JSON at character " + at); }
        private char peek() { while (at < text.length() && text.charAt(at) <= ' ') at++; return at < text.length() ? text.charAt(at) : 0; }
        private boolean took(char wanted) { boolean there = peek() == wanted; if (there) at++; return there; }
        private boolean more(char end) { if (took(',')) return true; if (took(end)) return false; throw broken(); }
        private Object value(int depth, Map<String, String> raws) {
            if (took('"')) return string(); else if (depth > 200) throw broken();
            List<Object> list = new ArrayList<>(); if (took('[')) { if (!took(']')) do list.add(value(depth + 1, null)); while (more(']')); return list; }
            Map<String, Object> map = new LinkedHashMap<>();
            if (took('{')) {
                if (!took('}')) do {
                    if (!took('"')) throw broken();
                    String key = string();
                    if (!took(':') || peek() == 0) throw broken();
                    int from = at;
                    map.put(key, value(depth + 1, null)); if (raws != null) raws.put(key, text.substring(from, at));
                } while (more('}'));
                return map;
            }
            int from = at; while (at < text.length() && ",]} \t".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(from, at);
            if (word.matches("null|true|false")) return word.equals("null") ? null : Boolean.valueOf(word);
            if (!word.matches("-?\\d+")) return Double.valueOf(word);
            BigInteger whole = new BigInteger(word);
            return whole.bitLength() < 32 ? (Object) whole.intValue() : whole.bitLength() < 64 ? (Object) whole.longValue() : whole;
        }
        private String string() {
            StringBuilder out = new StringBuilder();
            for (char c; (c = text.charAt(at++)) != '"'; ) {
                if (c != '\\') out.append(c);
                else if ((c = text.charAt(at++)) == 'u') out.append((char) Integer.parseInt(text.substring(at, at += 4), 16));
                else out.append("\"\\/\b\f\n\r\t".charAt("\"\\/bfnrt".indexOf(c)));
            }
            return out.toString();
        }
        /** `where` is for the error. Without it there is no error, to check whether a value is unchanged: 1e400 came as JSON too. */
        static String write(Object value, String where, int depth) {
            if (value == null || value instanceof Boolean || value instanceof Integer || value instanceof Long || value instanceof BigInteger) return "" + value;
            if (value instanceof Double && (where == null || Math.abs((Double) value) <= Double.MAX_VALUE)) return value.toString();
            if (value instanceof List && depth < 200) return ((List<?>) value).stream().map(item -> write(item, where == null ? null : where + "[]", depth + 1)).collect(joining(",", "[", "]"));
            if (value instanceof Map && depth < 200 && ((Map<?, ?>) value).keySet().stream().allMatch(String.class::isInstance))
                return ((Map<?, ?>) value).entrySet().stream().map(each -> write(each.getKey(), where, depth) + ":"
                    + write(each.getValue(), where == null ? null : where + "." + each.getKey(), depth + 1)).collect(joining(",", "{", "}"));
            if (!(value instanceof String)) if (where == null) return "?"; else throw new IllegalArgumentException("session: " + where + " is " + (value instanceof Double ? value : "a " + value.getClass().getName())
                + ", which JSON cannot hold; store String, Boolean, Integer, Long, BigInteger, Double, List or Map with String as keys");
            StringBuilder out = new StringBuilder("\"");
            for (char c : ((String) value).toCharArray())
                if (c >= ' ' && c < 127 && c != '"' && c != '\\') out.append(c); else out.append("\\u").append(Integer.toHexString(c | 0x10000).substring(1));
            return out.append('"').toString();
        }
    }
}
