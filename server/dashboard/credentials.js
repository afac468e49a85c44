// What the page remembers, and only as long as its tab lives: the token, the project, and the key it made there.

const KEYS = { token: 'footpath.token', project: 'footpath.project', key: 'footpath.key' };

/** Takes the one-time code out of the address, so that it is in no history and no bookmark. */
export function takeCode() {
  const url = new URL(location.href);
  const code = url.searchParams.get('code');
  if (code !== null) {
    url.searchParams.delete('code');
    history.replaceState(null, '', url.pathname + url.search + url.hash);
  }
  return code;
}

export const token = () => sessionStorage.getItem(KEYS.token) ?? '';
export const project = () => sessionStorage.getItem(KEYS.project) ?? '';

/** The role that the token names: "viewer", "analyst" or "admin"; empty where it cannot be read. The server decides, this only hides. */
export function role() {
  try {
    const [, claims] = token().split('.');
    return JSON.parse(atob(claims.replace(/-/g, '+').replace(/_/g, '/'))).role ?? '';
  } catch {
    return '';
  }
}

export function signIn(newToken, newProject) {
  sessionStorage.setItem(KEYS.token, newToken);
  openProject(newProject);
}

export function openProject(id) {
  sessionStorage.setItem(KEYS.project, id);
}

/** The secret of the key that this tab made for its project; the server shows it once. */
export const projectKey = () => {
  const [of, secret] = (sessionStorage.getItem(KEYS.key) ?? '').split(' ');
  return of === project() ? secret ?? '' : '';
};

export function keepProjectKey(secret) {
  sessionStorage.setItem(KEYS.key, `${project()} ${secret}`);
}

export function signOut() {
  for (const key of Object.values(KEYS)) sessionStorage.removeItem(key);
}
